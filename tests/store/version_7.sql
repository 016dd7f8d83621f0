-- A database of schema version 7, as Wingman made it: never change this file.
PRAGMA application_id = 1464421959;
PRAGMA user_version = 7;
BEGIN TRANSACTION;
CREATE TABLE agent_versions (
    seq INTEGER NOT NULL,
    hash TEXT NOT NULL,
    agent TEXT NOT NULL,
    PRIMARY KEY (seq),
    UNIQUE (hash)
);
INSERT INTO "agent_versions" VALUES(1,'eb01a53f12f3fce97f6e47b669ee1348d4d3546c4a89b640a5159bff73f435a9','{"id":"a1","name":"Ada","instructions":"Be brief.","tools":["bash"],"provider":{"id":"scripted","model":"keyless"},"output_schema":null,"max_steps":7,"created_at":"2025-05-17T12:00:00Z","updated_at":"2025-05-17T12:00:00Z"}');
CREATE TABLE agents (
	seq INTEGER NOT NULL,
	id TEXT NOT NULL,
	name TEXT NOT NULL,
	instructions TEXT NOT NULL,
	tools TEXT NOT NULL,
	provider TEXT NOT NULL,
	output_schema TEXT,
	max_steps INTEGER,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL, permissions TEXT, instruction_files INTEGER NOT NULL DEFAULT 0, compaction TEXT,
	PRIMARY KEY (seq),
	UNIQUE (id)
);
INSERT INTO "agents" VALUES(1,'a1','Ada','Be brief.','["bash","read_file"]','{"id":"anthropic","model":"claude","temperature":0.1}','{"type":"object","properties":{"é":{"type":"number"}}}',7,'2025-05-17T12:00:00.000000+00:00','2025-05-17T12:00:00.000000+00:00',NULL,0,NULL);
CREATE TABLE compactions (
    seq INTEGER NOT NULL,
    session_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    compacted TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (seq)
);
CREATE TABLE credentials (
	seq INTEGER NOT NULL,
	provider TEXT NOT NULL,
	credential TEXT NOT NULL,
	PRIMARY KEY (seq),
	UNIQUE (provider)
);
INSERT INTO "credentials" VALUES(1,'anthropic','{"key":"sk-1","base_url":"http://127.0.0.1:9"}');
CREATE TABLE history (
	seq INTEGER NOT NULL,
	session_id TEXT NOT NULL,
	run_id TEXT NOT NULL,
	message TEXT NOT NULL,
	PRIMARY KEY (seq)
);
INSERT INTO "history" VALUES(1,'s1','r1','{"role":"user","content":[{"type":"text","text":"!bash ls"}]}');
INSERT INTO "history" VALUES(2,'s1','r1','{"role":"assistant","content":[{"type":"thinking","thinking":"Hm.","signature":"sig","provider":"anthropic"},{"type":"text","text":"Let me see. "},{"type":"tool_use","id":"t1","name":"bash","input":{"command":"ls"}},{"type":"tool_use","id":"t2","name":"bash","input":{},"malformed":"{"}]}');
INSERT INTO "history" VALUES(3,'s1','r1','{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":"README.md\n","is_error":false},{"type":"tool_result","tool_use_id":"t2","content":"Cancelled.","is_error":true,"cut_short":"cancelled"}]}');
INSERT INTO "history" VALUES(4,'s1','r1','{"role":"assistant","content":[{"type":"text","text":"Don"}],"cut_short":"cancelled"}');
INSERT INTO "history" VALUES(5,'s1','r2','{"role":"user","content":[{"type":"text","text":"fails"}]}');
INSERT INTO "history" VALUES(6,'s2','r3','{"role":"user","content":[{"type":"text","text":"!bash sleep 60"}]}');
CREATE TABLE pending (
	seq INTEGER NOT NULL,
	run_id TEXT NOT NULL,
	kind TEXT NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY (seq)
);
INSERT INTO "pending" VALUES(1,'r3','step','{"run_id":"r3","step":1,"message":{"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"bash","input":{"command":"sleep 60"}},{"type":"tool_use","id":"t2","name":"bash","input":{"command":"echo é"}}]},"usage":{"input_tokens":120,"output_tokens":30,"cache_read_tokens":100}}');
INSERT INTO "pending" VALUES(2,'r3','result','{"type":"tool_result","tool_use_id":"t2","content":"é\n","is_error":false}');
CREATE TABLE permissions (
    seq INTEGER NOT NULL,
    id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    tool_use_id TEXT NOT NULL,
    tool TEXT NOT NULL,
    action TEXT NOT NULL,
    resources TEXT NOT NULL,
    always TEXT NOT NULL,
    input TEXT,
    status TEXT NOT NULL,
    decision TEXT,
    message TEXT,
    created_at TEXT NOT NULL,
    expires_at TEXT,
    resolved_at TEXT,
    PRIMARY KEY (seq),
    UNIQUE (id)
);
CREATE TABLE runs (
	seq INTEGER NOT NULL,
	id TEXT NOT NULL,
	session_id TEXT NOT NULL,
	request_id TEXT,
	body_hash TEXT,
	message TEXT NOT NULL,
	agent_id TEXT NOT NULL,
	agent TEXT,
	max_steps INTEGER,
	status TEXT NOT NULL,
	created_at TEXT NOT NULL,
	started_at TEXT,
	ended_at TEXT,
	steps INTEGER NOT NULL,
	usage TEXT NOT NULL,
	result TEXT,
	error TEXT, images TEXT, cost REAL, result_cut INTEGER NOT NULL DEFAULT 0, permissions TEXT, on_ask TEXT, steers TEXT, compacts INTEGER NOT NULL DEFAULT 0, ask_timeout REAL,
	PRIMARY KEY (seq),
	UNIQUE (id)
);
INSERT INTO "runs" VALUES(1,'r1','s1','q1','h1','!bash ls','a1','eb01a53f12f3fce97f6e47b669ee1348d4d3546c4a89b640a5159bff73f435a9',5,'cancelled','2025-05-17T12:00:00.000000+00:00','2025-05-17T12:00:01.000000+00:00','2025-05-17T12:00:09.000000+00:00',2,'{"input_tokens":120,"output_tokens":30,"cache_read_tokens":100}','{"run_id":"r1","response":"Don","stop_reason":"cancelled","steps":2,"tool_calls":[],"usage":{"input_tokens":120,"output_tokens":30,"cache_read_tokens":100},"detail":"Why."}',NULL,NULL,NULL,0,NULL,NULL,NULL,0,NULL);
INSERT INTO "runs" VALUES(2,'r2','s1',NULL,NULL,'fails','a1',NULL,NULL,'failed','2025-05-17T12:00:00.000000+00:00','2025-05-17T12:00:10.000000+00:00','2025-05-17T12:00:11.000000+00:00',1,'{"input_tokens":120,"output_tokens":30,"cache_read_tokens":100}',NULL,'{"code":"provider_error","message":"No."}','[{"type":"image","media_type":"image/png","data":"AAAA"}]',NULL,0,NULL,NULL,NULL,0,NULL);
INSERT INTO "runs" VALUES(3,'r3','s2',NULL,NULL,'!bash sleep 60','a1','eb01a53f12f3fce97f6e47b669ee1348d4d3546c4a89b640a5159bff73f435a9',NULL,'running','2025-05-17T12:00:00.000000+00:00','2025-05-17T12:00:20.000000+00:00',NULL,0,'{"input_tokens":0,"output_tokens":0}',NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,0,NULL);
INSERT INTO "runs" VALUES(4,'r4','s2','q2','h2','!bash echo on','a1','eb01a53f12f3fce97f6e47b669ee1348d4d3546c4a89b640a5159bff73f435a9',NULL,'queued','2025-05-17T12:00:00.000000+00:00',NULL,NULL,0,'{"input_tokens":0,"output_tokens":0}',NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,0,NULL);
CREATE TABLE sessions (
	seq INTEGER NOT NULL,
	id TEXT NOT NULL,
	work_dir TEXT NOT NULL,
	title TEXT,
	agent_id TEXT,
	created_at TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	last_event_id INTEGER NOT NULL,
	event_ceiling INTEGER NOT NULL,
	usage TEXT NOT NULL,
	deleting INTEGER DEFAULT '0' NOT NULL, permissions TEXT,
	PRIMARY KEY (seq),
	UNIQUE (id)
);
INSERT INTO "sessions" VALUES(1,'s1','/tmp','Old','a1','2025-05-17T12:00:00.000000+00:00','2025-05-17T12:00:11.000000+00:00',26,8192,'{"input_tokens":240,"output_tokens":60,"cache_read_tokens":200}',0,NULL);
INSERT INTO "sessions" VALUES(2,'s2','/tmp',NULL,'a1','2025-05-17T12:00:00.000000+00:00','2025-05-17T12:00:00.000000+00:00',0,8192,'{"input_tokens":0,"output_tokens":0}',0,NULL);
INSERT INTO "sessions" VALUES(3,'s3','/tmp',NULL,'a1','2025-05-17T12:00:00.000000+00:00','2025-05-17T12:00:00.000000+00:00',0,0,'{"input_tokens":0,"output_tokens":0}',1,NULL);
INSERT INTO "sessions" VALUES(4,'s4','/tmp',NULL,NULL,'2025-05-17T12:00:00.000000+00:00','2025-05-17T12:00:00.000000+00:00',0,0,'{"input_tokens":0,"output_tokens":0}',0,NULL);
CREATE INDEX sessions_deleting ON sessions (seq) WHERE deleting;
CREATE UNIQUE INDEX runs_request ON runs (session_id, request_id) WHERE request_id IS NOT NULL;
CREATE INDEX history_session ON history (session_id);
CREATE INDEX history_run ON history (run_id);
CREATE INDEX pending_run ON pending (run_id);
CREATE INDEX runs_status ON runs (status);
CREATE INDEX runs_session_status ON runs (session_id, status);
CREATE INDEX runs_agent ON runs (agent) WHERE agent IS NOT NULL;
CREATE INDEX compactions_session ON compactions (session_id);
CREATE INDEX permissions_status ON permissions (status);
CREATE INDEX permissions_session_status ON permissions (session_id, status);
CREATE INDEX permissions_run ON permissions (run_id);
CREATE INDEX permissions_pending ON permissions (run_id) WHERE status = 'pending';
CREATE INDEX permissions_always ON permissions (session_id) WHERE decision = 'always';
COMMIT;
