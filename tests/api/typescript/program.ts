// What a program in TypeScript does with the contract, checked by `tsc --strict`.
import createClient from "openapi-fetch";
import type { components, paths } from "./contract";

type Frame = components["schemas"]["RunFrame"];

const client = createClient<paths>({ baseUrl: "http://127.0.0.1:2323" });

export async function talk(): Promise<string> {
  const { data: agent } = await client.POST("/agents", { body: { name: "Assistant", tools: ["bash"] } });
  if (!agent) throw new Error("no agent");
  const { data: session } = await client.POST("/sessions", { body: { agent_id: agent.id } });
  if (!session) throw new Error("no session");
  const { data, error, response } = await client.POST("/sessions/{session_id}/message", {
    params: { path: { session_id: session.id }, header: { "Idempotency-Key": "1" } },
    body: { message: "hello", on_busy: "reject" },
  });
  if (error) throw new Error(`${error.error.code}: ${error.error.message} (${response.status})`);
  return "response" in data ? data.response : data.run_id;
}

export async function pages(session_id: string): Promise<number> {
  const { data } = await client.GET("/sessions/{session_id}/runs", {
    params: { path: { session_id }, query: { limit: 10, cursor: 3, status: "running" } },
  });
  const { data: receipt } = await client.POST("/sessions/{session_id}/cancel", {
    params: { path: { session_id } },
    body: { queued: true },
  });
  return (data ?? []).reduce((sum, run) => sum + run.steps, receipt?.cancelled.length ?? 0);
}

export async function answered(session_id: string): Promise<string> {
  const { data } = await client.GET("/sessions/{session_id}/permissions", {
    params: { path: { session_id }, query: { status: "pending" } },
  });
  for (const request of data ?? []) {
    await client.POST("/sessions/{session_id}/permissions/{permission_id}", {
      params: { path: { session_id, permission_id: request.id } },
      body: { decision: request.always.length ? "always" : "once", input: request.input },
    });
  }
  const { data: accepted } = await client.POST("/sessions/{session_id}/message", {
    params: { path: { session_id } },
    body: { message: "go", permissions: { bash: { "*": "ask", "ls*": "allow" } }, on_ask: "reject" },
  });
  return accepted === undefined ? "" : "sent";
}

export function text(frame: Frame): string {
  switch (frame.event) {
    case "text":
    case "thinking":
      return frame.data.text;
    case "tool_use":
      return frame.data.name;
    case "tool_result":
      return frame.data.content;
    case "tool_progress":
      return frame.data.tool_use_id;
    case "step":
      return String(frame.data.step);
    case "permission_requested":
      return frame.data.resources.join();
    case "permission_resolved":
      return frame.data.status;
    case "steered":
      return frame.data.text;
    case "compacted":
      return frame.data.summary;
    case "done":
      return frame.data.stop_reason;
    case "error":
      return frame.data.code;
    default: {
      const none: never = frame;
      return none;
    }
  }
}

// What the contract does not have is an error of the compiler.
// @ts-expect-error: there is no such path
void client.GET("/nothing");
// @ts-expect-error: a message is needed
void client.POST("/sessions/{session_id}/message", { params: { path: { session_id: "x" } }, body: {} });
// @ts-expect-error: there is no such choice
void client.POST("/sessions/{session_id}/message", { params: { path: { session_id: "x" } }, body: { message: "a", on_busy: "later" } });
// @ts-expect-error: a limit is a number
void client.GET("/runs", { params: { query: { limit: "ten" } } });
