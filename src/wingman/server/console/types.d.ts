/** What the API answers, as far as the page reads it. `docs/http.md` says what each field means. It is not served. */

export type Usage = {input_tokens: number, output_tokens: number, cache_read_tokens?: number, cache_write_tokens?: number, reasoning_tokens?: number};

export type Agent = {id: string, name: string, instructions: string, tools: string[], provider: {id: string, model?: string, max_tokens?: number, temperature?: number}, max_steps: number | null, permissions?: any, created_at: string, updated_at: string};

export type Block = {type: string, text?: string, thinking?: string, id?: string, name?: string, input?: Record<string, any>, malformed?: string, tool_use_id?: string, content?: string, is_error?: boolean, cut_short?: string, images?: Image[], media_type?: string, data?: string, note?: string};

export type Image = {media_type: string, data: string, note?: string};

export type Message = {role: "user" | "assistant", content: Block[], cut_short?: string, withheld?: any};

export type CallState = "announced" | "waiting" | "queued" | "running" | "ended";

export type InProgress = {run_id: string, event_id: number, step: number, text: string, thinking: string, calls: {id: string, name: string, input: Record<string, any>, state: CallState, permission_id?: string, content?: string, is_error?: boolean}[]};

export type Session = {id: string, work_dir: string, title: string | null, agent_id: string | null, status: string, last_event_id: number, created_at: string, updated_at: string, usage: Usage, permissions?: any, in_progress?: InProgress, history?: Message[]};

export type Result = {run_id: string, response: string, stop_reason: string, steps: number, usage: Usage, tool_calls: {id: string, tool_name: string, output: string, is_error: boolean}[], detail?: string, cost?: number};

export type Failure = {code: string, message: string};

export type Run = {id: string, session_id: string, message: string, agent_id: string, status: string, result: Result | null, error: Failure | null, steps: number, usage: Usage, created_at: string, started_at: string | null, ended_at: string | null, cost?: number, waiting_for?: Failure, cut?: boolean, steers?: string};

export type PermissionRequest = {id: string, session_id: string, run_id: string, tool_use_id: string, tool: string, action: string, resources: string[], always: string[], status: string, created_at: string, input?: Record<string, any>, decision?: string, message?: string, expires_at?: string, resolved_at?: string, cut?: boolean};

export type Receipt = {cancelled: {run_id: string, was: string, stopped_in_ms: number, outcome?: string, unread?: string, tools?: {id: string, outcome: string, note?: string}[]}[]};
