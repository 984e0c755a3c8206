-- A database of the first release (schema 0001): six decisions, one report. Two caps: one by recipient, one shared.
-- `sqlite3` wrote it down (`iterdump`), with JSON as text; tests/old_database.py makes a file of it.
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE audit_entries (
	"index" INTEGER NOT NULL,
	entry BLOB NOT NULL,
	CONSTRAINT pk_audit_entries PRIMARY KEY ("index")
)
 STRICT
;
INSERT INTO "audit_entries" VALUES(0,CAST('{"type":"decision","decision":{"decision_id":"d-1","candidate_id":"c-1","effect":"allow","reasons":[],"obligations":[],"monitored":[],"retry_at":null,"blocked_by":null,"lane":"monetized","policy_revision":"sha256:022972cbcdfb555028faeff0675196b6704df7f2c0914b34d76317a9e00012f5","evaluated_at":"2026-11-20T09:01:00Z","degraded":false,"audit":{"index":0}},"candidate":{"id":"c-1","lane":"monetized","channel":"push","recipient":{"id":"r-1","timezone":"Europe/Berlin"},"content":{"class":"editorial"},"sponsor":{"id":"acme"}},"now":"2026-11-20T09:01:00Z","at":"2026-11-20T09:01:00Z","answers":{"cap.two-a-day.used":[{"type":"Usage"}],"cap.sponsors-day.used":[{"type":"Usage"}]},"takes":[{"cap":"two-a-day","key":"[\"r-1\"]","count_on":"reserved","countdown_seconds":null},{"cap":"sponsors-day","key":"[\"acme\"]","count_on":"reserved","countdown_seconds":null}],"lease_until":"2026-11-20T09:11:00Z","trace_id":null,"fault":null}' AS BLOB));
INSERT INTO "audit_entries" VALUES(1,CAST('{"type":"decision","decision":{"decision_id":"d-2","candidate_id":"c-2","effect":"allow","reasons":[],"obligations":[],"monitored":[],"retry_at":null,"blocked_by":null,"lane":"monetized","policy_revision":"sha256:022972cbcdfb555028faeff0675196b6704df7f2c0914b34d76317a9e00012f5","evaluated_at":"2026-11-20T09:02:00Z","degraded":false,"audit":{"index":1}},"candidate":{"id":"c-2","lane":"monetized","channel":"push","recipient":{"id":"r-2","timezone":"Europe/Berlin"},"content":{"class":"editorial"},"sponsor":{"id":"acme"}},"now":"2026-11-20T09:02:00Z","at":"2026-11-20T09:02:00Z","answers":{"cap.two-a-day.used":[{"type":"Usage"}],"cap.sponsors-day.used":[{"type":"Usage","times":["2026-11-20T09:01:00Z"]}]},"takes":[{"cap":"two-a-day","key":"[\"r-2\"]","count_on":"reserved","countdown_seconds":null},{"cap":"sponsors-day","key":"[\"acme\"]","count_on":"reserved","countdown_seconds":null}],"lease_until":"2026-11-20T09:12:00Z","trace_id":null,"fault":null}' AS BLOB));
INSERT INTO "audit_entries" VALUES(2,CAST('{"type":"decision","decision":{"decision_id":"d-3","candidate_id":"c-3","effect":"deny","reasons":[{"code":"cap.exceeded","policy":"sponsors-day","message":"at most 2 in each calendar day in the recipient''s zone, for each sponsor","facts":{"cap.sponsors-day.used":2},"holds_from":"2026-11-21T09:00:00Z","retry":null}],"obligations":[],"monitored":[],"retry_at":"2026-11-21T09:00:00Z","blocked_by":null,"lane":"monetized","policy_revision":"sha256:022972cbcdfb555028faeff0675196b6704df7f2c0914b34d76317a9e00012f5","evaluated_at":"2026-11-20T09:03:00Z","degraded":false,"audit":{"index":2}},"candidate":{"id":"c-3","lane":"monetized","channel":"push","recipient":{"id":"r-3","country":"US"},"content":{"class":"editorial"},"sponsor":{"id":"acme"}},"now":"2026-11-20T09:03:00Z","at":"2026-11-20T09:03:00Z","answers":{"cap.two-a-day.used":[{"type":"Usage"}],"cap.sponsors-day.used":[{"type":"Usage","times":["2026-11-20T09:01:00Z","2026-11-20T09:02:00Z"]}]},"takes":[],"lease_until":null,"trace_id":null,"fault":null}' AS BLOB));
INSERT INTO "audit_entries" VALUES(3,CAST('{"type":"decision","decision":{"decision_id":"d-4","candidate_id":"c-4","effect":"allow","reasons":[],"obligations":[],"monitored":[],"retry_at":null,"blocked_by":null,"lane":"monetized","policy_revision":"sha256:022972cbcdfb555028faeff0675196b6704df7f2c0914b34d76317a9e00012f5","evaluated_at":"2026-11-20T09:04:00Z","degraded":false,"audit":{"index":3}},"candidate":{"id":"c-4","lane":"monetized","channel":"push","recipient":{"id":"r-1","timezone":"Europe/Berlin"},"content":{"class":"editorial"},"sponsor":{"id":"other"}},"now":"2026-11-20T09:04:00Z","at":"2026-11-20T09:04:00Z","answers":{"cap.two-a-day.used":[{"type":"Usage","times":["2026-11-20T09:01:00Z"]}],"cap.sponsors-day.used":[{"type":"Usage"}]},"takes":[{"cap":"two-a-day","key":"[\"r-1\"]","count_on":"reserved","countdown_seconds":null},{"cap":"sponsors-day","key":"[\"other\"]","count_on":"reserved","countdown_seconds":null}],"lease_until":"2026-11-20T09:14:00Z","trace_id":null,"fault":null}' AS BLOB));
INSERT INTO "audit_entries" VALUES(4,CAST('{"type":"decision","decision":{"decision_id":"d-5","candidate_id":"c-5","effect":"deny","reasons":[{"code":"cap.exceeded","policy":"two-a-day","message":"at most 2 in each calendar day in the recipient''s zone, for each recipient","facts":{"cap.two-a-day.used":2},"holds_from":"2026-11-21T00:00:00+01:00","retry":null}],"obligations":[],"monitored":[],"retry_at":"2026-11-21T00:00:00+01:00","blocked_by":null,"lane":"monetized","policy_revision":"sha256:022972cbcdfb555028faeff0675196b6704df7f2c0914b34d76317a9e00012f5","evaluated_at":"2026-11-20T09:05:00Z","degraded":false,"audit":{"index":4}},"candidate":{"id":"c-5","lane":"monetized","channel":"push","recipient":{"id":"r-1","timezone":"Europe/Berlin"},"content":{"class":"editorial"},"sponsor":{"id":"third"}},"now":"2026-11-20T09:05:00Z","at":"2026-11-20T09:05:00Z","answers":{"cap.two-a-day.used":[{"type":"Usage","times":["2026-11-20T09:01:00Z","2026-11-20T09:04:00Z"]}],"cap.sponsors-day.used":[{"type":"Usage"}]},"takes":[],"lease_until":null,"trace_id":null,"fault":null}' AS BLOB));
INSERT INTO "audit_entries" VALUES(5,CAST('{"type":"decision","decision":{"decision_id":"d-6","candidate_id":"c-6","effect":"allow","reasons":[],"obligations":[],"monitored":[],"retry_at":null,"blocked_by":null,"lane":"monetized","policy_revision":"sha256:022972cbcdfb555028faeff0675196b6704df7f2c0914b34d76317a9e00012f5","evaluated_at":"2026-11-21T09:00:00Z","degraded":false,"audit":{"index":5}},"candidate":{"id":"c-6","lane":"monetized","channel":"push","recipient":{"id":"r-2","timezone":"Europe/Berlin"},"content":{"class":"editorial"},"send_at":"2026-11-21T09:00:00Z","sponsor":{"id":"other"}},"now":"2026-11-20T09:06:00Z","at":"2026-11-21T09:00:00Z","answers":{"cap.two-a-day.used":[{"type":"Usage"}],"cap.sponsors-day.used":[{"type":"Usage"}]},"takes":[{"cap":"two-a-day","key":"[\"r-2\"]","count_on":"reserved","countdown_seconds":null},{"cap":"sponsors-day","key":"[\"other\"]","count_on":"reserved","countdown_seconds":null}],"lease_until":"2026-11-21T09:10:00Z","trace_id":null,"fault":null}' AS BLOB));
INSERT INTO "audit_entries" VALUES(6,CAST('{"type":"outcome","decision_id":"d-1","was":"reserved","is_now":"sent","at":"2026-11-20T09:06:00Z"}' AS BLOB));
CREATE TABLE cap_slots (
	seq INTEGER NOT NULL,
	cap TEXT NOT NULL,
	"key" TEXT NOT NULL,
	decision_id TEXT NOT NULL,
	count_on TEXT NOT NULL,
	countdown_seconds INTEGER,
	counted_at INTEGER,
	until INTEGER,
	lease_until INTEGER,
	CONSTRAINT pk_cap_slots PRIMARY KEY (seq)
)
 STRICT
;
INSERT INTO "cap_slots" VALUES(1,'two-a-day','["r-1"]','d-1','reserved',NULL,1795165260000000,NULL,NULL);
INSERT INTO "cap_slots" VALUES(2,'sponsors-day','["acme"]','d-1','reserved',NULL,1795165260000000,NULL,NULL);
INSERT INTO "cap_slots" VALUES(3,'two-a-day','["r-2"]','d-2','reserved',NULL,1795165320000000,NULL,1795165920000000);
INSERT INTO "cap_slots" VALUES(4,'sponsors-day','["acme"]','d-2','reserved',NULL,1795165320000000,NULL,1795165920000000);
INSERT INTO "cap_slots" VALUES(5,'two-a-day','["r-1"]','d-4','reserved',NULL,1795165440000000,NULL,1795166040000000);
INSERT INTO "cap_slots" VALUES(6,'sponsors-day','["other"]','d-4','reserved',NULL,1795165440000000,NULL,1795166040000000);
INSERT INTO "cap_slots" VALUES(7,'two-a-day','["r-2"]','d-6','reserved',NULL,1795251600000000,NULL,1795252200000000);
INSERT INTO "cap_slots" VALUES(8,'sponsors-day','["other"]','d-6','reserved',NULL,1795251600000000,NULL,1795252200000000);
CREATE TABLE consent_events (
	seq INTEGER NOT NULL,
	id TEXT NOT NULL,
	recipient TEXT NOT NULL,
	purpose TEXT NOT NULL,
	state TEXT NOT NULL,
	at INTEGER NOT NULL,
	method TEXT NOT NULL,
	notice_version TEXT,
	language TEXT,
	evidence TEXT NOT NULL,
	captured_by TEXT,
	expires_at INTEGER,
	recorded_at INTEGER NOT NULL,
	CONSTRAINT pk_consent_events PRIMARY KEY (seq),
	CONSTRAINT uq_consent_events_id UNIQUE (id)
)
 STRICT
;
CREATE TABLE decisions (
	decision_id TEXT NOT NULL,
	candidate_id TEXT NOT NULL,
	body_hash BLOB NOT NULL,
	answer BLOB NOT NULL,
	evaluated_at INTEGER NOT NULL,
	audit_index INTEGER NOT NULL,
	state TEXT NOT NULL,
	lease_until INTEGER,
	CONSTRAINT pk_decisions PRIMARY KEY (decision_id),
	CONSTRAINT uq_decisions_candidate_id UNIQUE (candidate_id)
)
 STRICT
;
INSERT INTO "decisions" VALUES('d-1','c-1',X'5548F01420165A29F7F44B150EDB32CE',CAST('{"decision_id":"d-1","candidate_id":"c-1","effect":"allow","reasons":[],"obligations":[],"monitored":[],"retry_at":null,"blocked_by":null,"lane":"monetized","policy_revision":"sha256:022972cbcdfb555028faeff0675196b6704df7f2c0914b34d76317a9e00012f5","evaluated_at":"2026-11-20T09:01:00Z","degraded":false,"audit":{"index":0}}' AS BLOB),1795165260000000,0,'sent',1795165860000000);
INSERT INTO "decisions" VALUES('d-2','c-2',X'B66375A375917B75AF8B2334BAFF64CF',CAST('{"decision_id":"d-2","candidate_id":"c-2","effect":"allow","reasons":[],"obligations":[],"monitored":[],"retry_at":null,"blocked_by":null,"lane":"monetized","policy_revision":"sha256:022972cbcdfb555028faeff0675196b6704df7f2c0914b34d76317a9e00012f5","evaluated_at":"2026-11-20T09:02:00Z","degraded":false,"audit":{"index":1}}' AS BLOB),1795165320000000,1,'reserved',1795165920000000);
INSERT INTO "decisions" VALUES('d-3','c-3',X'5746287AE6C48DC128C64652FE3162A5',CAST('{"decision_id":"d-3","candidate_id":"c-3","effect":"deny","reasons":[{"code":"cap.exceeded","policy":"sponsors-day","message":"at most 2 in each calendar day in the recipient''s zone, for each sponsor","facts":{"cap.sponsors-day.used":2},"holds_from":"2026-11-21T09:00:00Z","retry":null}],"obligations":[],"monitored":[],"retry_at":"2026-11-21T09:00:00Z","blocked_by":null,"lane":"monetized","policy_revision":"sha256:022972cbcdfb555028faeff0675196b6704df7f2c0914b34d76317a9e00012f5","evaluated_at":"2026-11-20T09:03:00Z","degraded":false,"audit":{"index":2}}' AS BLOB),1795165380000000,2,'none',NULL);
INSERT INTO "decisions" VALUES('d-4','c-4',X'B07CEAF38381457552BED7F3B9C63728',CAST('{"decision_id":"d-4","candidate_id":"c-4","effect":"allow","reasons":[],"obligations":[],"monitored":[],"retry_at":null,"blocked_by":null,"lane":"monetized","policy_revision":"sha256:022972cbcdfb555028faeff0675196b6704df7f2c0914b34d76317a9e00012f5","evaluated_at":"2026-11-20T09:04:00Z","degraded":false,"audit":{"index":3}}' AS BLOB),1795165440000000,3,'reserved',1795166040000000);
INSERT INTO "decisions" VALUES('d-5','c-5',X'534CC7CA2F3DD67148B0F6F9CACFCBCA',CAST('{"decision_id":"d-5","candidate_id":"c-5","effect":"deny","reasons":[{"code":"cap.exceeded","policy":"two-a-day","message":"at most 2 in each calendar day in the recipient''s zone, for each recipient","facts":{"cap.two-a-day.used":2},"holds_from":"2026-11-21T00:00:00+01:00","retry":null}],"obligations":[],"monitored":[],"retry_at":"2026-11-21T00:00:00+01:00","blocked_by":null,"lane":"monetized","policy_revision":"sha256:022972cbcdfb555028faeff0675196b6704df7f2c0914b34d76317a9e00012f5","evaluated_at":"2026-11-20T09:05:00Z","degraded":false,"audit":{"index":4}}' AS BLOB),1795165500000000,4,'none',NULL);
INSERT INTO "decisions" VALUES('d-6','c-6',X'D2EC240FD90D58B36B7B7E160F4CE62F',CAST('{"decision_id":"d-6","candidate_id":"c-6","effect":"allow","reasons":[],"obligations":[],"monitored":[],"retry_at":null,"blocked_by":null,"lane":"monetized","policy_revision":"sha256:022972cbcdfb555028faeff0675196b6704df7f2c0914b34d76317a9e00012f5","evaluated_at":"2026-11-21T09:00:00Z","degraded":false,"audit":{"index":5}}' AS BLOB),1795251600000000,5,'reserved',1795252200000000);
CREATE TABLE policy_sets (
	revision TEXT NOT NULL,
	files TEXT NOT NULL,
	recorded_at INTEGER NOT NULL,
	CONSTRAINT pk_policy_sets PRIMARY KEY (revision)
)
 STRICT
;
INSERT INTO "policy_sets" VALUES('sha256:022972cbcdfb555028faeff0675196b6704df7f2c0914b34d76317a9e00012f5','{"/tmp/d/fixture.yaml":"apiVersion: guardrails/v1\npolicies:\n  - id: two-a-day\n    kind: frequency_cap\n    title: Two editorials a day\n    limit: 2\n    window: {calendar: day, timezone: recipient, fallback: strictest}\n    per: [recipient]\n  - id: sponsors-day\n    kind: frequency_cap\n    title: Two a local day for a sponsor\n    limit: 2\n    window: {calendar: day, timezone: recipient, fallback: strictest}\n    per: [sponsor]\n"}',1795165260000000);
CREATE TABLE preference_events (
	seq INTEGER NOT NULL,
	recipient TEXT NOT NULL,
	toggle TEXT NOT NULL,
	is_on INTEGER NOT NULL,
	at INTEGER NOT NULL,
	recorded_at INTEGER NOT NULL,
	CONSTRAINT pk_preference_events PRIMARY KEY (seq)
)
 STRICT
;
CREATE INDEX ix_consent_events_newest ON consent_events (recipient, purpose, at, seq);
CREATE INDEX ix_preference_events_newest ON preference_events (recipient, toggle, at, seq, is_on);
CREATE INDEX ix_cap_slots_counted_at ON cap_slots (cap, "key", counted_at, lease_until);
CREATE INDEX ix_cap_slots_decision_id ON cap_slots (decision_id);
CREATE INDEX ix_cap_slots_until ON cap_slots (cap, "key", until, lease_until) WHERE until IS NOT NULL;
CREATE INDEX ix_decisions_lease_until ON decisions (lease_until) WHERE state = 'reserved';
CREATE TRIGGER consent_events_no_update BEFORE UPDATE ON consent_events BEGIN SELECT RAISE(ABORT, 'consent_events is append-only'); END;
CREATE TRIGGER consent_events_no_delete BEFORE DELETE ON consent_events BEGIN SELECT RAISE(ABORT, 'consent_events is append-only'); END;
CREATE TRIGGER preference_events_no_update BEFORE UPDATE ON preference_events BEGIN SELECT RAISE(ABORT, 'preference_events is append-only'); END;
CREATE TRIGGER preference_events_no_delete BEFORE DELETE ON preference_events BEGIN SELECT RAISE(ABORT, 'preference_events is append-only'); END;
CREATE TRIGGER audit_entries_no_update BEFORE UPDATE ON audit_entries BEGIN SELECT RAISE(ABORT, 'audit_entries is append-only'); END;
CREATE TRIGGER audit_entries_no_delete BEFORE DELETE ON audit_entries BEGIN SELECT RAISE(ABORT, 'audit_entries is append-only'); END;
CREATE TRIGGER policy_sets_no_update BEFORE UPDATE ON policy_sets BEGIN SELECT RAISE(ABORT, 'policy_sets is append-only'); END;
CREATE TRIGGER policy_sets_no_delete BEFORE DELETE ON policy_sets BEGIN SELECT RAISE(ABORT, 'policy_sets is append-only'); END;
COMMIT;
