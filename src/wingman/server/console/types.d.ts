/**
 * The types of the page, known in all of its modules. This file is not served.
 *
 * First what the API answers, as far as the page reads it: `docs/http.md` says what each field means.
 */

type Usage = {input_tokens: number, output_tokens: number, cache_read_tokens?: number, cache_write_tokens?: number, reasoning_tokens?: number};

type Agent = {id: string, name: string, instructions: string, tools: string[], provider: {id: string, model?: string, max_tokens?: number, temperature?: number}, max_steps: number | null, permissions?: any, instruction_files?: boolean, created_at: string, updated_at: string};

type ContentBlock = {type: string, text?: string, thinking?: string, id?: string, name?: string, input?: Record<string, any>, malformed?: string, tool_use_id?: string, content?: string, is_error?: boolean, cut_short?: string, images?: Image[], media_type?: string, data?: string, note?: string};

type Image = {media_type: string, data: string, note?: string};

type Message = {role: "user" | "assistant", content: ContentBlock[], cut_short?: string, withheld?: any};

type CallState = "announced" | "waiting" | "queued" | "running" | "ended";

type InProgress = {run_id: string, event_id: number, step: number, text: string, thinking: string, calls: {id: string, name: string, input: Record<string, any>, state: CallState, permission_id?: string, content?: string, is_error?: boolean}[]};

type Session = {id: string, work_dir: string, title: string | null, agent_id: string | null, status: string, last_event_id: number, created_at: string, updated_at: string, usage: Usage, permissions?: any, in_progress?: InProgress, history?: Message[]};

type Result = {run_id: string, response: string, stop_reason: string, steps: number, usage: Usage, tool_calls: {id: string, tool_name: string, output: string, is_error: boolean}[], detail?: string, cost?: number};

type Failure = {code: string, message: string};

type Run = {id: string, session_id: string, message: string, agent_id: string, status: string, result: Result | null, error: Failure | null, steps: number, usage: Usage, created_at: string, started_at: string | null, ended_at: string | null, cost?: number, waiting_for?: Failure, cut?: boolean, steers?: string};

type PermissionRequest = {id: string, session_id: string, run_id: string, tool_use_id: string, tool: string, action: string, resources: string[], always: string[], status: string, created_at: string, input?: Record<string, any>, decision?: string, message?: string, expires_at?: string, resolved_at?: string, cut?: boolean, schema?: Record<string, any>};

type Receipt = {cancelled: {run_id: string, was: string, stopped_in_ms: number, outcome?: string, unread?: string, tools?: {id: string, outcome: string, note?: string}[]}[]};

type McpServer = {name: string, status: string, reason: string | null, command: string[] | null, url: string | null, connections: {status: string, work_dir?: string, pid?: number, calls?: number, tools?: number}[]};

type Provider = {id: string, configured: boolean, default_model: string | null, key_variable: string | null};

type Actor = {name: string, state: string, mailbox: number, doing: string | null, for_seconds: number | null, handled: number, restarts: number};

type Actors = {actors: Actor[], dead_letters: number, quarantined: Record<string, string>, runs: {in_flight: number, places: number, waiting: number, asking: number}};

type Page<T> = {entries: T[], next: string | null};

/** What the page asks of the server: `api.js`. */
type Api = {
	/** `link` or `token` */
	login(secret: Record<string, string>): Promise<Response>,
	logout(): Promise<Response>,
	whetherLoggedIn(): Promise<{needed: boolean, expires_at: string | null}>,

	agents(): Promise<Agent[]>,
	createAgent(fields: Record<string, any>): Promise<Agent>,
	updateAgent(id: string, fields: Record<string, any>): Promise<Agent>,
	deleteAgent(id: string): Promise<Response>,

	sessions(path?: string): Promise<Page<Session>>,
	session(id: string, signal?: AbortSignal): Promise<Session>,
	createSession(fields: Record<string, any>): Promise<Session>,
	updateSession(id: string, fields: Record<string, any>): Promise<Session>,
	deleteSession(id: string): Promise<Response>,
	lastMessages(id: string, limit: number): Promise<Message[]>,

	send(id: string, body: Record<string, any>): Promise<{run_id: string, status: string, steers?: string}>,
	compact(id: string): Promise<any>,
	takeBack(id: string, run: string): Promise<Receipt>,

	sessionRuns(id: string): Promise<Page<Run>>,
	openRuns(id: string): Promise<Page<Run>>,
	runs(status: string): Promise<Page<Run>>,
	run(id: string, run: string): Promise<Run>,
	cancelRun(id: string, run: string): Promise<Receipt>,
	cancelCall(id: string, run: string, call: string): Promise<Receipt>,

	permissions(): Promise<Page<PermissionRequest>>,
	permission(id: string, permission: string): Promise<PermissionRequest>,
	answer(id: string, permission: string, body: Record<string, any>): Promise<PermissionRequest>,

	tools(): Promise<{name: string, description: string}[]>,
	providers(): Promise<Provider[]>,
	providerAuth(): Promise<any>,
	storeCredential(provider: string, credential: Record<string, any>): Promise<Response>,
	deleteCredential(provider: string): Promise<Response>,
	models(provider: string): Promise<{id: string}[]>,
	actors(): Promise<Actors>,
	ready(): Promise<any>,
	mcp(): Promise<McpServer[]>,
	connect(server: string): Promise<McpServer>,
	disconnect(server: string): Promise<McpServer>,
};

/** A Server-Sent Event, as `sse.js` reads it. */
type Frame = {id: number | null, event: string, data: any};

/** What `app.js` shows, until the signal; the argument is the rest of the address. */
type View = (main: HTMLElement, signal: AbortSignal, argument: string) => void;

/** What a call waits for. Only its id is known of what waited before the page was opened. */
type Asked = {id: string} & Partial<PermissionRequest>;

/* The items that a transcript is made of. */

type BaseItem = {key: string, version: number, runId: string | null};

/** `text` is null until it is known. */
type UserItem = BaseItem & {kind: "user", text: string | null, images: Image[], steers: boolean};

type TextItem = BaseItem & {kind: "text", text: string, cutShort: string | null};

type ThinkingItem = BaseItem & {kind: "thinking", text: string, redacted: boolean};

type NoteItem = BaseItem & {kind: "note", title: string, text: string};

/** What became of a run; `runs` has it. */
type EndItem = BaseItem & {kind: "end"};

type ReceiptItem = BaseItem & {kind: "receipt", receipt: Receipt, callId: string | null};

/** `ran` is for how many milliseconds it ran before it began to wait for an answer. */
type CallItem = BaseItem & {kind: "call", id: string, name: string, input: Record<string, any>, malformed: string | null, group: string, state: "running" | "waiting" | "queued" | "ended", live: string, skipped: number, output: string, isError: boolean, cutShort: string | null, images: Image[], asks: Asked[], decision: string | null, said: string | null, began: number | null, ran: number, ended: number | null, cancelling: boolean};

type Item = UserItem | TextItem | ThinkingItem | NoteItem | EndItem | ReceiptItem | CallItem;

/** What a page has seen of a session and the server does not store. */
type Before = {calls: Map<string, Pick<CallItem, "began" | "ended" | "live" | "skipped" | "decision" | "said">>, notes: NoteItem[], receipts: Pick<ReceiptItem, "receipt" | "runId" | "callId">[]};

type OnReceipt = (receipt: Receipt, runId: string | null, callId: string | null) => void;

/* Markdown: a text is blocks, and a line of it is inlines. */

type Leaf = {type: "text" | "code", text: string};

type Span = {type: "em" | "strong" | "del", children: Inline[]};

type Link = {type: "link", href: string, children: Inline[]};

type Inline = Leaf | Span | Link;

type Paragraph = {type: "paragraph", children: Inline[]};

type Heading = {type: "heading", level: number, children: Inline[]};

/** `open`: its end has not come. */
type Fence = {type: "fence", language: string, text: string, open: boolean};

type Quote = {type: "quote", children: Block[]};

type List = {type: "list", start: number | null, items: ListItem[]};

type ListItem = {task: boolean | null, children: Block[]};

type Table = {type: "table", align: string[], head: Inline[][], rows: Inline[][][]};

type Block = Paragraph | Heading | Fence | {type: "rule"} | Quote | List | Table;

/* What the views hand each other. */

/** Text of a command; `style` is names of classes, or empty. */
type Piece = {text: string, style: string};

type Connection = "connecting" | "live" | "broken";

/** It sends what `body` gives, and then tells people `said`. */
type Answer = (body: () => Record<string, any>, said: string) => Promise<void>;

/** A field of a form; `read` gives undefined where nothing is answered. */
type Field = {element: HTMLElement, read: () => any};
