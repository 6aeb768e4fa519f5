BEGIN TRANSACTION;
CREATE TABLE aliases (
	model TEXT NOT NULL, 
	alias TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	previous INTEGER, 
	moved_by TEXT NOT NULL, 
	moved_at REAL NOT NULL, 
	CONSTRAINT aliases_pkey PRIMARY KEY (model, alias), 
	CONSTRAINT aliases_model_fkey FOREIGN KEY(model) REFERENCES models (name)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "aliases" VALUES('digits','champion',1,NULL,'ann',1800000000.5);
CREATE TABLE artifacts (
	run_id TEXT NOT NULL, 
	path TEXT NOT NULL, 
	manifest TEXT NOT NULL, 
	size_bytes INTEGER NOT NULL, 
	files INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	CONSTRAINT artifacts_pkey PRIMARY KEY (run_id, path)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "artifacts" VALUES('11111111111111111111111111111111','model','m',1099511627776,2,'out');
CREATE TABLE assessments (
	id TEXT NOT NULL, 
	trace_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	value TEXT NOT NULL, 
	number REAL, 
	is_numeric INTEGER NOT NULL, 
	error TEXT NOT NULL, 
	source_type TEXT NOT NULL, 
	source_id TEXT NOT NULL, 
	source_run_id TEXT NOT NULL, 
	span_id TEXT NOT NULL, 
	rationale TEXT NOT NULL, 
	metadata TEXT NOT NULL, 
	overrides TEXT NOT NULL, 
	is_valid INTEGER NOT NULL, 
	created_ms INTEGER NOT NULL, 
	updated_ms INTEGER NOT NULL, 
	CONSTRAINT assessments_pkey PRIMARY KEY (id), 
	CONSTRAINT assessments_trace_id_fkey FOREIGN KEY(trace_id) REFERENCES traces (id) ON DELETE CASCADE
)
 STRICT

;
INSERT INTO "assessments" VALUES('a-1','tr-1','ok','feedback','true',1.0,0,'{}','','','','','','{"a":"b"}','',1,0,0);
CREATE TABLE blob_pins (
	digest TEXT NOT NULL, 
	at REAL NOT NULL, 
	is_doomed INTEGER NOT NULL, 
	CONSTRAINT blob_pins_pkey PRIMARY KEY (digest)
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE counters (
	name TEXT NOT NULL, 
	value INTEGER NOT NULL, 
	CONSTRAINT counters_pkey PRIMARY KEY (name)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "counters" VALUES('routing',1);
CREATE TABLE dataset_reads (
	dataset_id TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	run_id TEXT NOT NULL, 
	path TEXT NOT NULL, 
	at REAL NOT NULL, 
	CONSTRAINT dataset_reads_pkey PRIMARY KEY (dataset_id, number, run_id, path), 
	CONSTRAINT dataset_reads_dataset_id_fkey FOREIGN KEY(dataset_id) REFERENCES datasets (id), 
	CONSTRAINT dataset_reads_run_id_fkey FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "dataset_reads" VALUES('data-1',1,'11111111111111111111111111111111','data/sales',1800000000.5);
CREATE TABLE dataset_versions (
	id TEXT NOT NULL, 
	dataset_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	digest TEXT NOT NULL, 
	layout TEXT NOT NULL, 
	message TEXT NOT NULL, 
	files INTEGER NOT NULL, 
	size_bytes INTEGER NOT NULL, 
	added_bytes INTEGER NOT NULL, 
	profile TEXT NOT NULL, 
	source TEXT NOT NULL, 
	source_run_id TEXT NOT NULL, 
	created_by TEXT NOT NULL, 
	created_at REAL NOT NULL, 
	CONSTRAINT dataset_versions_pkey PRIMARY KEY (id), 
	CONSTRAINT dataset_versions_dataset_id_number_key UNIQUE (dataset_id, number), 
	CONSTRAINT dataset_versions_dataset_id_fkey FOREIGN KEY(dataset_id) REFERENCES datasets (id)
)
 STRICT

;
INSERT INTO "dataset_versions" VALUES('data-1-1','data-1','sales',1,'manifest digest','layout digest','täg',2,1099511627776,0,'{"tables":[{"path":"a.csv"}]}','','11111111111111111111111111111111','',1800000000.5);
CREATE TABLE datasets (
	id TEXT NOT NULL, 
	project_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	created_by TEXT NOT NULL, 
	created_at REAL NOT NULL, 
	last_version INTEGER NOT NULL, 
	CONSTRAINT datasets_pkey PRIMARY KEY (id), 
	CONSTRAINT datasets_project_id_fkey FOREIGN KEY(project_id) REFERENCES projects (id), 
	CONSTRAINT datasets_name_key UNIQUE (name)
)
 STRICT

;
INSERT INTO "datasets" VALUES('data-1','0cbf614306da9e3514e13c369cd0f7e3','sales','ann',1800000000.5,1);
CREATE TABLE deliveries (
	forge TEXT NOT NULL, 
	delivery_id TEXT NOT NULL, 
	at REAL NOT NULL, 
	CONSTRAINT deliveries_pkey PRIMARY KEY (forge, delivery_id)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "deliveries" VALUES('github','delivery-1',1800000000.5);
CREATE TABLE endpoints (
	id TEXT NOT NULL, 
	project_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	model TEXT NOT NULL, 
	live TEXT NOT NULL, 
	previous TEXT NOT NULL, 
	created_at REAL NOT NULL, 
	last_revision INTEGER NOT NULL, 
	CONSTRAINT endpoints_pkey PRIMARY KEY (id), 
	CONSTRAINT endpoints_project_id_fkey FOREIGN KEY(project_id) REFERENCES projects (id), 
	CONSTRAINT endpoints_name_key UNIQUE (name)
)
 STRICT

;
INSERT INTO "endpoints" VALUES('18f70bf28802f02c8e276a8d14afe5db','0cbf614306da9e3514e13c369cd0f7e3','digits','digits','66666666666666666666666666666666','',1800000000.5,1);
CREATE TABLE environments (
	"key" TEXT NOT NULL, 
	lock_digest TEXT NOT NULL, 
	created_at REAL NOT NULL, 
	CONSTRAINT environments_pkey PRIMARY KEY ("key")
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "environments" VALUES('environment key','lock digest',1800000000.5);
CREATE TABLE evaluation_datasets (
	id TEXT NOT NULL, 
	project_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	schema TEXT NOT NULL, 
	records INTEGER NOT NULL, 
	author TEXT NOT NULL, 
	last_author TEXT NOT NULL, 
	created_by TEXT NOT NULL, 
	created_at REAL NOT NULL, 
	updated_at REAL NOT NULL, 
	CONSTRAINT evaluation_datasets_pkey PRIMARY KEY (id), 
	CONSTRAINT evaluation_datasets_project_id_fkey FOREIGN KEY(project_id) REFERENCES projects (id)
)
 STRICT

;
INSERT INTO "evaluation_datasets" VALUES('d-1','0cbf614306da9e3514e13c369cd0f7e3','questions','0','',1,'','','',1800000000.5,1800000000.5);
CREATE TABLE evaluation_experiments (
	dataset_id TEXT NOT NULL, 
	experiment_id TEXT NOT NULL, 
	at REAL NOT NULL, 
	CONSTRAINT evaluation_experiments_pkey PRIMARY KEY (dataset_id, experiment_id), 
	CONSTRAINT evaluation_experiments_dataset_id_fkey FOREIGN KEY(dataset_id) REFERENCES evaluation_datasets (id) ON DELETE CASCADE, 
	CONSTRAINT evaluation_experiments_experiment_id_fkey FOREIGN KEY(experiment_id) REFERENCES experiments (id)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "evaluation_experiments" VALUES('d-1','1802dc0d90ff1a8ce8874c7052d2b4b8',1800000000.5);
CREATE TABLE evaluation_records (
	id TEXT NOT NULL, 
	dataset_id TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	input_digest TEXT NOT NULL, 
	inputs TEXT NOT NULL, 
	outputs TEXT NOT NULL, 
	expectations TEXT NOT NULL, 
	tags TEXT NOT NULL, 
	source TEXT NOT NULL, 
	author TEXT NOT NULL, 
	last_author TEXT NOT NULL, 
	created_at REAL NOT NULL, 
	updated_at REAL NOT NULL, 
	CONSTRAINT evaluation_records_pkey PRIMARY KEY (id), 
	CONSTRAINT evaluation_records_dataset_id_number_key UNIQUE (dataset_id, number), 
	CONSTRAINT evaluation_records_dataset_id_input_digest_key UNIQUE (dataset_id, input_digest), 
	CONSTRAINT evaluation_records_dataset_id_fkey FOREIGN KEY(dataset_id) REFERENCES evaluation_datasets (id) ON DELETE CASCADE
)
 STRICT

;
INSERT INTO "evaluation_records" VALUES('dr-1','d-1',1,'i','{"q": "why?"}','','','','','','',0.0,0.0);
CREATE TABLE evaluation_tags (
	dataset_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT evaluation_tags_pkey PRIMARY KEY (dataset_id, "key"), 
	CONSTRAINT evaluation_tags_dataset_id_fkey FOREIGN KEY(dataset_id) REFERENCES evaluation_datasets (id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "evaluation_tags" VALUES('d-1','team','blue');
CREATE TABLE events (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	kind TEXT NOT NULL, 
	actor TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	project TEXT NOT NULL, 
	facts TEXT NOT NULL, 
	at REAL NOT NULL
)
 STRICT

;
INSERT INTO "events" VALUES(1,'push','ann','run:11111111111111111111111111111111','','{"ref":"trunk"}',1800000000.5);
CREATE TABLE experiment_tags (
	experiment_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT experiment_tags_pkey PRIMARY KEY (experiment_id, "key")
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE experiments (
	id TEXT NOT NULL, 
	project_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	created_at REAL NOT NULL, 
	artifact_location TEXT, 
	created_by TEXT, 
	updated_at REAL, 
	deleted_at REAL, 
	CONSTRAINT experiments_pkey PRIMARY KEY (id), 
	CONSTRAINT experiments_project_id_name_key UNIQUE (project_id, name), 
	CONSTRAINT experiments_project_id_fkey FOREIGN KEY(project_id) REFERENCES projects (id)
)
 STRICT

;
INSERT INTO "experiments" VALUES('d89cd1abc0f99c67a5fd4b06df29d55e','0cbf614306da9e3514e13c369cd0f7e3','default',1800000000.5,NULL,NULL,NULL,NULL);
INSERT INTO "experiments" VALUES('1802dc0d90ff1a8ce8874c7052d2b4b8','0cbf614306da9e3514e13c369cd0f7e3','tries',1800000000.5,NULL,NULL,NULL,NULL);
CREATE TABLE inputs (
	run_id TEXT NOT NULL, 
	path TEXT NOT NULL, 
	manifest TEXT NOT NULL, 
	origin TEXT NOT NULL, 
	source_run_id TEXT NOT NULL, 
	CONSTRAINT inputs_pkey PRIMARY KEY (run_id, path, manifest)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "inputs" VALUES('11111111111111111111111111111111','data','m','file','11111111111111111111111111111111');
CREATE TABLE issues (
	id TEXT NOT NULL, 
	experiment_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	description TEXT NOT NULL, 
	status TEXT NOT NULL, 
	severity TEXT, 
	root_causes TEXT NOT NULL, 
	source_run_id TEXT, 
	categories TEXT NOT NULL, 
	author TEXT NOT NULL, 
	created_by TEXT NOT NULL, 
	created_at REAL NOT NULL, 
	updated_at REAL NOT NULL, 
	CONSTRAINT issues_pkey PRIMARY KEY (id), 
	CONSTRAINT issues_experiment_id_fkey FOREIGN KEY(experiment_id) REFERENCES experiments (id), 
	CONSTRAINT issues_source_run_id_fkey FOREIGN KEY(source_run_id) REFERENCES runs (id) ON DELETE SET NULL
)
 STRICT

;
INSERT INTO "issues" VALUES('iss-1','1802dc0d90ff1a8ce8874c7052d2b4b8','slow','it takes long','pending','low','["a loop"]','11111111111111111111111111111111','[]','','ann',1800000000.5,1800000000.5);
CREATE TABLE jobs (
	seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	state TEXT NOT NULL, 
	pool TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	project_id TEXT NOT NULL, 
	payload TEXT NOT NULL, 
	priority INTEGER NOT NULL, 
	run_after REAL NOT NULL, 
	attempt INTEGER NOT NULL, 
	max_attempts INTEGER NOT NULL, 
	fence INTEGER NOT NULL, 
	lease_owner TEXT NOT NULL, 
	lease_until REAL NOT NULL, 
	lease_s REAL NOT NULL, 
	handle TEXT NOT NULL, 
	cancel_requested INTEGER NOT NULL, 
	result TEXT NOT NULL, 
	error TEXT NOT NULL, 
	created_at REAL NOT NULL, 
	started_at REAL, 
	ended_at REAL, 
	unique_key TEXT, 
	claimable_at REAL GENERATED ALWAYS AS (CASE WHEN state = 'queued' THEN run_after WHEN state = 'running' AND attempt < max_attempts AND NOT cancel_requested THEN lease_until END) STORED, 
	CONSTRAINT jobs_id_key UNIQUE (id), 
	CONSTRAINT jobs_unique_key_key UNIQUE (unique_key)
)
 STRICT

;
INSERT INTO "jobs" VALUES(1,'22222222222222222222222222222222','stage','running','local','','','{"n":[1]}',0,0.0,1,3,1,'hub 1',1800000030.5,30.0,'{}',0,'{}','',1800000000.5,1800000000.5,NULL,'once');
CREATE TABLE label_schemas (
	id TEXT NOT NULL, 
	experiment_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	input TEXT NOT NULL, 
	instruction TEXT, 
	enable_comment INTEGER NOT NULL, 
	is_default INTEGER NOT NULL, 
	created_by TEXT NOT NULL, 
	created_at REAL NOT NULL, 
	updated_at REAL NOT NULL, 
	CONSTRAINT label_schemas_pkey PRIMARY KEY (id), 
	CONSTRAINT label_schemas_experiment_id_name_key UNIQUE (experiment_id, name), 
	CONSTRAINT label_schemas_experiment_id_fkey FOREIGN KEY(experiment_id) REFERENCES experiments (id)
)
 STRICT

;
INSERT INTO "label_schemas" VALUES('ls-1','1802dc0d90ff1a8ce8874c7052d2b4b8','good?','feedback','{"text":{"max_length":9}}',NULL,0,0,'ann',1800000000.5,1800000000.5);
CREATE TABLE locks (
	name TEXT NOT NULL, 
	owner TEXT NOT NULL, 
	lease_until REAL NOT NULL, 
	lease_s REAL NOT NULL, 
	CONSTRAINT locks_pkey PRIMARY KEY (name)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "locks" VALUES('scheduler','hub 1',1800000010.5,10.0);
CREATE TABLE log_chunks (
	run_id TEXT NOT NULL, 
	start INTEGER NOT NULL, 
	data BLOB NOT NULL, 
	CONSTRAINT log_chunks_pkey PRIMARY KEY (run_id, start)
)
 STRICT

;
INSERT INTO "log_chunks" VALUES('11111111111111111111111111111111',0,X'68656C6C6FFF');
CREATE TABLE logged_datasets (
	id TEXT NOT NULL, 
	experiment_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	source_type TEXT NOT NULL, 
	source TEXT NOT NULL, 
	schema TEXT NOT NULL, 
	profile TEXT NOT NULL, 
	CONSTRAINT logged_datasets_pkey PRIMARY KEY (id), 
	CONSTRAINT logged_datasets_experiment_id_name_digest_key UNIQUE (experiment_id, name, digest), 
	CONSTRAINT logged_datasets_experiment_id_fkey FOREIGN KEY(experiment_id) REFERENCES experiments (id)
)
 STRICT

;
CREATE TABLE logged_model_metrics (
	model_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	run_id TEXT NOT NULL, 
	step INTEGER NOT NULL, 
	at REAL NOT NULL, 
	value REAL NOT NULL, 
	is_nan INTEGER NOT NULL, 
	dataset_name TEXT NOT NULL, 
	dataset_digest TEXT NOT NULL, 
	CONSTRAINT logged_model_metrics_pkey PRIMARY KEY (model_id, "key", run_id, step, at, value, is_nan, dataset_name, dataset_digest), 
	CONSTRAINT logged_model_metrics_model_id_fkey FOREIGN KEY(model_id) REFERENCES logged_models (id)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "logged_model_metrics" VALUES('m-1','acc','11111111111111111111111111111111',0,1800000000.5,0.5,0,'d','');
CREATE TABLE logged_model_params (
	model_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT logged_model_params_pkey PRIMARY KEY (model_id, "key"), 
	CONSTRAINT logged_model_params_model_id_fkey FOREIGN KEY(model_id) REFERENCES logged_models (id)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "logged_model_params" VALUES('m-1','lr','0.1');
CREATE TABLE logged_model_tags (
	model_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT logged_model_tags_pkey PRIMARY KEY (model_id, "key"), 
	CONSTRAINT logged_model_tags_model_id_fkey FOREIGN KEY(model_id) REFERENCES logged_models (id)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "logged_model_tags" VALUES('m-1','team','blue');
CREATE TABLE logged_models (
	id TEXT NOT NULL, 
	experiment_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	artifact_location TEXT NOT NULL, 
	status TEXT NOT NULL, 
	status_message TEXT NOT NULL, 
	source_run_id TEXT NOT NULL, 
	model_type TEXT NOT NULL, 
	created_by TEXT NOT NULL, 
	created_at REAL NOT NULL, 
	updated_at REAL NOT NULL, 
	deleted_at REAL, 
	CONSTRAINT logged_models_pkey PRIMARY KEY (id), 
	CONSTRAINT logged_models_experiment_id_fkey FOREIGN KEY(experiment_id) REFERENCES experiments (id)
)
 STRICT

;
INSERT INTO "logged_models" VALUES('m-1','1802dc0d90ff1a8ce8874c7052d2b4b8','net','here','pending','','','','',1800000000.5,1800000000.5,NULL);
CREATE TABLE meta (
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT meta_pkey PRIMARY KEY ("key")
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "meta" VALUES('key','value');
CREATE TABLE metric_batches (
	run_id TEXT NOT NULL, 
	batch TEXT NOT NULL, 
	at REAL NOT NULL, 
	CONSTRAINT metric_batches_pkey PRIMARY KEY (run_id, batch)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "metric_batches" VALUES('11111111111111111111111111111111','b1',1800000000.5);
CREATE TABLE metric_chunks (
	id INTEGER NOT NULL, 
	series_id INTEGER NOT NULL, 
	first_step INTEGER NOT NULL, 
	first_at REAL NOT NULL, 
	first_is_number INTEGER NOT NULL, 
	first_value REAL NOT NULL, 
	last_step INTEGER NOT NULL, 
	last_at REAL NOT NULL, 
	last_is_number INTEGER NOT NULL, 
	last_value REAL NOT NULL, 
	count INTEGER NOT NULL, 
	sketch BLOB NOT NULL, 
	points BLOB NOT NULL, 
	CONSTRAINT metric_chunks_pkey PRIMARY KEY (id)
)
 STRICT

;
INSERT INTO "metric_chunks" VALUES(1,3,0,1800000000.5,0,0.0,39,1800000039.5,1,-3.90000000000000035527e+00,40,X'94019201C40C7801635463400100025A00289201C418780163606060486868E02C61B8C4708BC19101001BD703CB9200C41278019B6532D3180677F2EF3F000038E40712',X'94019201C41178016360240E308C02AC2100002EF400289201C42178016360A02E5070200E3410696D0991EA2E11A9EE1691EA1C89540700DDFF0CC29200C4707801639835CB64168349FAACB30CB34CCEA64388B3B3D24D18D08899338D673218A7CD3CC330D3F84C1A84383333CD98018D18E4EA7EEC3C79F9E68FC7CF5EBEF9F1F1F3976F3F7EFEFEF3EF07032313F30F165636F61F1C9C5CDC3F7878F9F8EBF703013A710008EA51090018199269');
CREATE TABLE metric_points (
	series_id INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	at REAL NOT NULL, 
	value REAL NOT NULL, 
	is_nan INTEGER NOT NULL, 
	CONSTRAINT metric_points_pkey PRIMARY KEY (series_id, step, at, value, is_nan)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "metric_points" VALUES(1,0,1800000000.5,0.0,0);
INSERT INTO "metric_points" VALUES(1,1,1800000001.5,0.1,0);
INSERT INTO "metric_points" VALUES(1,2,1800000002.5,0.2,0);
INSERT INTO "metric_points" VALUES(2,0,0.0,9e999,0);
INSERT INTO "metric_points" VALUES(3,7,1800000000.5,1.5,0);
CREATE TABLE metric_series (
	id INTEGER NOT NULL, 
	run_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	last REAL, 
	last_step INTEGER NOT NULL, 
	last_at REAL NOT NULL, 
	first REAL, 
	first_step INTEGER NOT NULL, 
	first_at REAL NOT NULL, 
	min REAL, 
	max REAL, 
	count INTEGER NOT NULL, 
	packed INTEGER, 
	CONSTRAINT metric_series_pkey PRIMARY KEY (id), 
	CONSTRAINT metric_series_run_id_key_key UNIQUE (run_id, "key"), 
	CONSTRAINT metric_series_run_id_fkey FOREIGN KEY(run_id) REFERENCES runs (id)
)
 STRICT

;
INSERT INTO "metric_series" VALUES(1,'11111111111111111111111111111111','acc',0.2,2,1800000002.5,0.0,0,1800000000.5,0.0,0.2,3,0);
INSERT INTO "metric_series" VALUES(2,'11111111111111111111111111111111','loss',9e999,0,0.0,9e999,0,0.0,9e999,9e999,1,0);
INSERT INTO "metric_series" VALUES(3,'11111111111111111111111111111111','many',-3.90000000000000035527e+00,39,1800000039.5,NULL,0,1800000000.5,-3.90000000000000035527e+00,1.5,41,40);
CREATE TABLE metric_tails (
	run_id TEXT NOT NULL, 
	is_long INTEGER NOT NULL, 
	CONSTRAINT metric_tails_pkey PRIMARY KEY (run_id)
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE model_tags (
	model_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT model_tags_pkey PRIMARY KEY (model_id, "key"), 
	CONSTRAINT model_tags_model_id_fkey FOREIGN KEY(model_id) REFERENCES models (id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "model_tags" VALUES('e324809a5507f0b61b73ff88042f311a','team','blue');
CREATE TABLE model_versions (
	id TEXT NOT NULL, 
	model_id TEXT NOT NULL, 
	model TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	run_id TEXT NOT NULL, 
	manifest TEXT NOT NULL, 
	sha256 TEXT NOT NULL, 
	pipeline_id TEXT NOT NULL, 
	stage_id TEXT, 
	loader TEXT NOT NULL, 
	contract TEXT NOT NULL, 
	signature TEXT, 
	provenance TEXT NOT NULL, 
	status TEXT NOT NULL, 
	facts TEXT NOT NULL, 
	created_by TEXT NOT NULL, 
	created_at REAL NOT NULL, 
	description TEXT, 
	source TEXT, 
	run_link TEXT, 
	stage TEXT, 
	logged_model_id TEXT, 
	updated_at REAL, 
	CONSTRAINT model_versions_pkey PRIMARY KEY (id), 
	CONSTRAINT model_versions_model_id_version_key UNIQUE (model_id, version), 
	CONSTRAINT model_versions_model_id_fkey FOREIGN KEY(model_id) REFERENCES models (id), 
	CONSTRAINT model_versions_stage_id_key UNIQUE (stage_id)
)
 STRICT

;
INSERT INTO "model_versions" VALUES('55555555555555555555555555555555','e324809a5507f0b61b73ff88042f311a','digits',1,'11111111111111111111111111111111','m','s','','44444444444444444444444444444444','auto','','{"inputs":[{"name":"x","datatype":"FP32","shape":[-1,64]}],"outputs":[]}','','candidate','{"metrics":{"acc":0.2}}','',1800000000.5,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE models (
	id TEXT NOT NULL, 
	project_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	created_at REAL NOT NULL, 
	last_version INTEGER NOT NULL, 
	description TEXT, 
	created_by TEXT, 
	updated_at REAL, 
	CONSTRAINT models_pkey PRIMARY KEY (id), 
	CONSTRAINT models_project_id_fkey FOREIGN KEY(project_id) REFERENCES projects (id), 
	CONSTRAINT models_name_key UNIQUE (name)
)
 STRICT

;
INSERT INTO "models" VALUES('e324809a5507f0b61b73ff88042f311a','0cbf614306da9e3514e13c369cd0f7e3','digits',1800000000.5,1,NULL,NULL,NULL);
CREATE TABLE params (
	run_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT params_pkey PRIMARY KEY (run_id, "key")
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "params" VALUES('11111111111111111111111111111111','layers','[3,null]');
INSERT INTO "params" VALUES('11111111111111111111111111111111','lr','0.1');
INSERT INTO "params" VALUES('11111111111111111111111111111111','note','"a\"\u0000\\"');
CREATE TABLE pipelines (
	id TEXT NOT NULL, 
	project_id TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	"commit" TEXT NOT NULL, 
	ref TEXT NOT NULL, 
	"trigger" TEXT NOT NULL, 
	actor TEXT NOT NULL, 
	status TEXT NOT NULL, 
	title TEXT NOT NULL, 
	code TEXT NOT NULL, 
	environment TEXT NOT NULL, 
	spec TEXT, 
	error TEXT NOT NULL, 
	warnings TEXT NOT NULL, 
	rerun_of TEXT NOT NULL, 
	created_at REAL NOT NULL, 
	started_at REAL, 
	ended_at REAL, 
	CONSTRAINT pipelines_pkey PRIMARY KEY (id), 
	CONSTRAINT pipelines_project_id_number_key UNIQUE (project_id, number), 
	CONSTRAINT pipelines_project_id_fkey FOREIGN KEY(project_id) REFERENCES projects (id)
)
 STRICT

;
INSERT INTO "pipelines" VALUES('33333333333333333333333333333333','0cbf614306da9e3514e13c369cd0f7e3',1,'cccccccccccccccccccccccccccccccccccccccc','refs/heads/trunk','push','ann','running','','','','{"stages":[{"name":"train","cmd":["python train.py"],"needs":[],"deps":[],"outs":[],"params":[],"metrics":[],"plots":[],"env":{},"secrets":[],"resources":{"cpu":1.0,"memory_bytes":null,"gpu":0.0,"gpu_type":"","disk_bytes":null,"pool":"local"},"timeout_s":null,"retry":{"max":2,"when":["worker_lost"]},"matrix":{},"cache":true,"junit":"","select":null,"gates":[{"metric":"acc","min":0.9,"max":null,"vs":null,"min_delta":null,"max_delta":null}],"register":null,"deploy":null,"image":"","wdir":".","condition":"","hermetic":"warn","network":false}],"project":"","env":{"python":"","lock":""},"vars":{},"branches":[],"paths":[]}','','["a warning"]','',1800000000.5,NULL,NULL);
CREATE TABLE pools (
	name TEXT NOT NULL, 
	executor TEXT NOT NULL, 
	config TEXT NOT NULL, 
	slots INTEGER NOT NULL, 
	CONSTRAINT pools_pkey PRIMARY KEY (name)
)
 STRICT

;
INSERT INTO "pools" VALUES('local','local','{"a":1}',2);
CREATE TABLE projects (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	default_branch TEXT NOT NULL, 
	mirror TEXT NOT NULL, 
	created_at REAL NOT NULL, 
	last_pipeline INTEGER NOT NULL, 
	CONSTRAINT projects_pkey PRIMARY KEY (id), 
	CONSTRAINT projects_name_key UNIQUE (name)
)
 STRICT

;
INSERT INTO "projects" VALUES('0cbf614306da9e3514e13c369cd0f7e3','demo','trunk','',1800000000.5,1);
CREATE TABLE refs (
	project_id TEXT NOT NULL, 
	ref TEXT NOT NULL, 
	"commit" TEXT NOT NULL, 
	CONSTRAINT refs_pkey PRIMARY KEY (project_id, ref)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "refs" VALUES('0cbf614306da9e3514e13c369cd0f7e3','refs/heads/trunk','cccccccccccccccccccccccccccccccccccccccc');
CREATE TABLE review_items (
	queue_id TEXT NOT NULL, 
	trace_id TEXT NOT NULL, 
	status TEXT NOT NULL, 
	completed_by TEXT NOT NULL, 
	completed_at REAL, 
	created_at REAL NOT NULL, 
	updated_at REAL NOT NULL, 
	CONSTRAINT review_items_pkey PRIMARY KEY (queue_id, trace_id), 
	CONSTRAINT review_items_queue_id_fkey FOREIGN KEY(queue_id) REFERENCES review_queues (id) ON DELETE CASCADE, 
	CONSTRAINT review_items_trace_id_fkey FOREIGN KEY(trace_id) REFERENCES traces (id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "review_items" VALUES('rq-1','tr-1','complete','bob',1800000000.5,1800000000.5,1800000000.5);
CREATE TABLE review_queues (
	id TEXT NOT NULL, 
	experiment_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	folded_name TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	schema_ids TEXT NOT NULL, 
	owner TEXT NOT NULL, 
	created_by TEXT NOT NULL, 
	created_at REAL NOT NULL, 
	updated_at REAL NOT NULL, 
	CONSTRAINT review_queues_pkey PRIMARY KEY (id), 
	CONSTRAINT review_queues_experiment_id_folded_name_key UNIQUE (experiment_id, folded_name), 
	CONSTRAINT review_queues_experiment_id_fkey FOREIGN KEY(experiment_id) REFERENCES experiments (id)
)
 STRICT

;
INSERT INTO "review_queues" VALUES('rq-1','1802dc0d90ff1a8ce8874c7052d2b4b8','To do','to do','custom','["ls-1"]','','ann',1800000000.5,1800000000.5);
CREATE TABLE review_users (
	queue_id TEXT NOT NULL, 
	user_name TEXT NOT NULL, 
	CONSTRAINT review_users_pkey PRIMARY KEY (queue_id, user_name), 
	CONSTRAINT review_users_queue_id_fkey FOREIGN KEY(queue_id) REFERENCES review_queues (id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "review_users" VALUES('rq-1','bob');
CREATE TABLE revisions (
	id TEXT NOT NULL, 
	endpoint_id TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	version_id TEXT NOT NULL, 
	state TEXT NOT NULL, 
	job_id TEXT NOT NULL, 
	address TEXT NOT NULL, 
	stage_id TEXT, 
	restarts INTEGER NOT NULL, 
	error TEXT NOT NULL, 
	facts TEXT NOT NULL, 
	created_at REAL NOT NULL, 
	ready_at REAL, 
	CONSTRAINT revisions_pkey PRIMARY KEY (id), 
	CONSTRAINT revisions_endpoint_id_number_key UNIQUE (endpoint_id, number), 
	CONSTRAINT revisions_endpoint_id_fkey FOREIGN KEY(endpoint_id) REFERENCES endpoints (id) ON DELETE CASCADE, 
	CONSTRAINT revisions_version_id_fkey FOREIGN KEY(version_id) REFERENCES model_versions (id), 
	CONSTRAINT revisions_stage_id_key UNIQUE (stage_id)
)
 STRICT

;
INSERT INTO "revisions" VALUES('66666666666666666666666666666666','18f70bf28802f02c8e276a8d14afe5db',1,'55555555555555555555555555555555','ready','','','44444444444444444444444444444444',0,'','{}',1800000000.5,NULL);
CREATE TABLE run_datasets (
	run_id TEXT NOT NULL, 
	dataset_id TEXT NOT NULL, 
	tags TEXT NOT NULL, 
	at REAL NOT NULL, 
	CONSTRAINT run_datasets_pkey PRIMARY KEY (run_id, dataset_id), 
	CONSTRAINT run_datasets_run_id_fkey FOREIGN KEY(run_id) REFERENCES runs (id), 
	CONSTRAINT run_datasets_dataset_id_fkey FOREIGN KEY(dataset_id) REFERENCES logged_datasets (id)
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE run_models (
	run_id TEXT NOT NULL, 
	model_id TEXT NOT NULL, 
	role TEXT NOT NULL, 
	step INTEGER NOT NULL, 
	at REAL NOT NULL, 
	CONSTRAINT run_models_pkey PRIMARY KEY (run_id, model_id, role), 
	CONSTRAINT run_models_run_id_fkey FOREIGN KEY(run_id) REFERENCES runs (id)
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE run_traces (
	run_id TEXT NOT NULL, 
	trace_id TEXT NOT NULL, 
	CONSTRAINT run_traces_pkey PRIMARY KEY (run_id, trace_id), 
	CONSTRAINT run_traces_run_id_fkey FOREIGN KEY(run_id) REFERENCES runs (id), 
	CONSTRAINT run_traces_trace_id_fkey FOREIGN KEY(trace_id) REFERENCES traces (id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "run_traces" VALUES('11111111111111111111111111111111','tr-1');
CREATE TABLE run_words (
	word TEXT NOT NULL, 
	run_id TEXT NOT NULL, 
	CONSTRAINT run_words_pkey PRIMARY KEY (word, run_id), 
	CONSTRAINT run_words_run_id_fkey FOREIGN KEY(run_id) REFERENCES runs (id)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "run_words" VALUES('11111111111111111111111111111111','11111111111111111111111111111111');
INSERT INTO "run_words" VALUES('brave','11111111111111111111111111111111');
INSERT INTO "run_words" VALUES('otter','11111111111111111111111111111111');
CREATE TABLE runs (
	id TEXT NOT NULL, 
	project_id TEXT NOT NULL, 
	experiment_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	status TEXT NOT NULL, 
	actor TEXT NOT NULL, 
	pipeline_id TEXT NOT NULL, 
	stage_id TEXT NOT NULL, 
	stage TEXT NOT NULL, 
	job_id TEXT NOT NULL, 
	fence INTEGER NOT NULL, 
	command TEXT NOT NULL, 
	"commit" TEXT NOT NULL, 
	exit_code INTEGER, 
	failure TEXT, 
	reason TEXT NOT NULL, 
	recipe TEXT NOT NULL, 
	recipe_digest TEXT NOT NULL, 
	trajectory TEXT NOT NULL, 
	log TEXT NOT NULL, 
	log_bytes INTEGER NOT NULL, 
	replay_of TEXT NOT NULL, 
	superseded_by TEXT NOT NULL, 
	tainted INTEGER NOT NULL, 
	usage TEXT, 
	created_at REAL NOT NULL, 
	started_at REAL, 
	ended_at REAL, 
	deleted_at REAL, 
	heard_at REAL, 
	CONSTRAINT runs_pkey PRIMARY KEY (id), 
	CONSTRAINT runs_project_id_fkey FOREIGN KEY(project_id) REFERENCES projects (id), 
	CONSTRAINT runs_experiment_id_fkey FOREIGN KEY(experiment_id) REFERENCES experiments (id)
)
 STRICT

;
INSERT INTO "runs" VALUES('11111111111111111111111111111111','0cbf614306da9e3514e13c369cd0f7e3','d89cd1abc0f99c67a5fd4b06df29d55e','brave otter','stage','failed','','','','','22222222222222222222222222222222',1,'','',NULL,'oom','','','','','',0,'','',1,'{"wall_s":1.5,"cpu_s":0.5,"max_rss_bytes":8589934592}',1800000000.5,NULL,NULL,NULL,1799999940.5);
CREATE TABLE saved_views (
	id TEXT NOT NULL, 
	project_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	"query" TEXT NOT NULL, 
	created_by TEXT NOT NULL, 
	created_at REAL NOT NULL, 
	CONSTRAINT saved_views_pkey PRIMARY KEY (id), 
	CONSTRAINT saved_views_project_id_name_key UNIQUE (project_id, name)
)
 STRICT

;
INSERT INTO "saved_views" VALUES('view1','0cbf614306da9e3514e13c369cd0f7e3','best','order=-metrics.acc','ann',1800000000.5);
CREATE TABLE schema_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT schema_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "schema_version" VALUES('0008');
CREATE TABLE scorer_versions (
	scorer_id TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	body TEXT NOT NULL, 
	created_at REAL NOT NULL, 
	CONSTRAINT scorer_versions_pkey PRIMARY KEY (scorer_id, version), 
	CONSTRAINT scorer_versions_scorer_id_fkey FOREIGN KEY(scorer_id) REFERENCES scorers (id) ON DELETE CASCADE
)
 STRICT

;
INSERT INTO "scorer_versions" VALUES('d5a278b4236005eddd342ca5b64648bc',1,'{"name": "exact"}',1800000000.5);
CREATE TABLE scorers (
	id TEXT NOT NULL, 
	experiment_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	created_by TEXT NOT NULL, 
	CONSTRAINT scorers_pkey PRIMARY KEY (id), 
	CONSTRAINT scorers_experiment_id_name_key UNIQUE (experiment_id, name), 
	CONSTRAINT scorers_experiment_id_fkey FOREIGN KEY(experiment_id) REFERENCES experiments (id)
)
 STRICT

;
INSERT INTO "scorers" VALUES('d5a278b4236005eddd342ca5b64648bc','1802dc0d90ff1a8ce8874c7052d2b4b8','exact','ann');
CREATE TABLE spans (
	trace_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	parent_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	type TEXT NOT NULL, 
	status TEXT NOT NULL, 
	started_ns INTEGER NOT NULL, 
	ended_ns INTEGER, 
	content TEXT NOT NULL, 
	usage TEXT NOT NULL, 
	cost TEXT NOT NULL, 
	model TEXT NOT NULL, 
	provider TEXT NOT NULL, 
	CONSTRAINT spans_pkey PRIMARY KEY (trace_id, id), 
	CONSTRAINT spans_trace_id_fkey FOREIGN KEY(trace_id) REFERENCES traces (id) ON DELETE CASCADE
)
 STRICT

;
INSERT INTO "spans" VALUES('tr-1','s1','','ask','','UNSET',5,NULL,'{}','{"total_tokens":7}','{}','','');
CREATE TABLE stage_cache (
	project_id TEXT NOT NULL, 
	cache_key TEXT NOT NULL, 
	scope TEXT NOT NULL, 
	run_id TEXT NOT NULL, 
	created_at REAL NOT NULL, 
	CONSTRAINT stage_cache_pkey PRIMARY KEY (project_id, cache_key, scope)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "stage_cache" VALUES('0cbf614306da9e3514e13c369cd0f7e3','cache key','protected','11111111111111111111111111111111',1800000000.5);
CREATE TABLE stages (
	id TEXT NOT NULL, 
	pipeline_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	name TEXT NOT NULL, 
	action TEXT NOT NULL, 
	status TEXT NOT NULL, 
	planned TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	cache_key TEXT NOT NULL, 
	cache_facts TEXT NOT NULL, 
	run_id TEXT NOT NULL, 
	job_id TEXT NOT NULL, 
	attempts INTEGER NOT NULL, 
	reason TEXT NOT NULL, 
	result TEXT NOT NULL, 
	queued_at REAL, 
	started_at REAL, 
	ended_at REAL, 
	CONSTRAINT stages_pkey PRIMARY KEY (id), 
	CONSTRAINT stages_pipeline_id_key_key UNIQUE (pipeline_id, "key"), 
	CONSTRAINT stages_pipeline_id_fkey FOREIGN KEY(pipeline_id) REFERENCES pipelines (id)
)
 STRICT

;
INSERT INTO "stages" VALUES('44444444444444444444444444444444','33333333333333333333333333333333','train','train','run','running','{"key":"train","name":"train","action":"run","spec":{"name":"train","cmd":["python train.py"],"needs":[],"deps":[],"outs":[],"params":[],"metrics":[],"plots":[],"env":{},"secrets":[],"resources":{"cpu":1.0,"memory_bytes":null,"gpu":0.0,"gpu_type":"","disk_bytes":null,"pool":"local"},"timeout_s":null,"retry":{"max":2,"when":["worker_lost"]},"matrix":{},"cache":true,"junit":"","select":null,"gates":[{"metric":"acc","min":0.9,"max":null,"vs":null,"min_delta":null,"max_delta":null}],"register":null,"deploy":null,"image":"","wdir":".","condition":"","hermetic":"warn","network":false},"needs":[],"values":{},"skip":"","max_parallel":null,"sources":{}}',0,'','{"cmd":"x"}','','',0,'','{"tests":{"passed":3}}',NULL,NULL,NULL);
CREATE TABLE stored_files (
	path TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	size_bytes INTEGER NOT NULL, 
	created_by TEXT NOT NULL, 
	created_at REAL NOT NULL, 
	CONSTRAINT stored_files_pkey PRIMARY KEY (path)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "stored_files" VALUES('1/models/m-1/artifacts/MLmodel','d',3,'',1800000000.5);
CREATE TABLE tags (
	run_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT tags_pkey PRIMARY KEY (run_id, "key")
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "tags" VALUES('11111111111111111111111111111111','note','täg');
CREATE TABLE tokens (
	id TEXT NOT NULL, 
	secret_sha256 TEXT NOT NULL, 
	scope TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	label TEXT NOT NULL, 
	project_id TEXT NOT NULL, 
	run_id TEXT NOT NULL, 
	fence INTEGER NOT NULL, 
	expires_at REAL, 
	last_used_at REAL, 
	created_at REAL NOT NULL, 
	CONSTRAINT tokens_pkey PRIMARY KEY (id)
)
 STRICT

;
INSERT INTO "tokens" VALUES('t1','digest','member','user:ann','','','',0,1800000060.5,NULL,1800000000.5);
CREATE TABLE trace_metadata (
	trace_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT trace_metadata_pkey PRIMARY KEY (trace_id, "key"), 
	CONSTRAINT trace_metadata_trace_id_fkey FOREIGN KEY(trace_id) REFERENCES traces (id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "trace_metadata" VALUES('tr-1','mlflow.trace.session','s');
CREATE TABLE trace_numbers (
	trace_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	value REAL NOT NULL, 
	CONSTRAINT trace_numbers_pkey PRIMARY KEY (trace_id, "key"), 
	CONSTRAINT trace_numbers_trace_id_fkey FOREIGN KEY(trace_id) REFERENCES traces (id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "trace_numbers" VALUES('tr-1','total_cost',0.5);
INSERT INTO "trace_numbers" VALUES('tr-1','total_tokens',7.0);
CREATE TABLE trace_prompts (
	prompt TEXT NOT NULL, 
	trace_id TEXT NOT NULL, 
	CONSTRAINT trace_prompts_pkey PRIMARY KEY (prompt, trace_id), 
	CONSTRAINT trace_prompts_trace_id_fkey FOREIGN KEY(trace_id) REFERENCES traces (id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "trace_prompts" VALUES('greet/1','tr-1');
CREATE TABLE trace_tags (
	trace_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT trace_tags_pkey PRIMARY KEY (trace_id, "key"), 
	CONSTRAINT trace_tags_trace_id_fkey FOREIGN KEY(trace_id) REFERENCES traces (id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "trace_tags" VALUES('tr-1','team','blue');
CREATE TABLE traces (
	id TEXT NOT NULL, 
	experiment_id TEXT NOT NULL, 
	started_ms INTEGER NOT NULL, 
	duration_ms INTEGER, 
	state TEXT NOT NULL, 
	client_request_id TEXT, 
	request_preview TEXT, 
	response_preview TEXT, 
	created_by TEXT NOT NULL, 
	CONSTRAINT traces_pkey PRIMARY KEY (id), 
	CONSTRAINT traces_experiment_id_fkey FOREIGN KEY(experiment_id) REFERENCES experiments (id)
)
 STRICT

;
INSERT INTO "traces" VALUES('tr-1','1802dc0d90ff1a8ce8874c7052d2b4b8',5,7,'OK',NULL,NULL,NULL,'');
CREATE TABLE users (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	role TEXT NOT NULL, 
	created_at REAL NOT NULL, 
	CONSTRAINT users_pkey PRIMARY KEY (id), 
	CONSTRAINT users_name_key UNIQUE (name)
)
 STRICT

;
INSERT INTO "users" VALUES('u1','ann','admin',1800000000.5);
CREATE TABLE verdicts (
	id TEXT NOT NULL, 
	run_id TEXT NOT NULL, 
	at REAL NOT NULL, 
	body TEXT NOT NULL, 
	CONSTRAINT verdicts_pkey PRIMARY KEY (id), 
	CONSTRAINT verdicts_run_id_fkey FOREIGN KEY(run_id) REFERENCES runs (id)
)
 STRICT

;
INSERT INTO "verdicts" VALUES('v1','11111111111111111111111111111111',1800000000.5,'{"level":"bit_exact","run_id":"11111111111111111111111111111111","replay_run_id":"","metrics":[],"first_divergence":null,"last_equal":null,"outs":{},"steps_compared":3,"window":null,"inputs_differ":[],"equal_inputs":false,"substitutes":[],"reason":"","facts":{},"machine":"","at":0.0,"by":"","id":"v1"}');
CREATE TABLE version_tags (
	version_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT version_tags_pkey PRIMARY KEY (version_id, "key"), 
	CONSTRAINT version_tags_version_id_fkey FOREIGN KEY(version_id) REFERENCES model_versions (id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "version_tags" VALUES('55555555555555555555555555555555','checked','yes');
CREATE TABLE webhook_deliveries (
	id TEXT NOT NULL, 
	webhook_id TEXT NOT NULL, 
	event TEXT NOT NULL, 
	body TEXT NOT NULL, 
	attempts INTEGER NOT NULL, 
	status INTEGER, 
	error TEXT NOT NULL, 
	is_done INTEGER NOT NULL, 
	created_at REAL NOT NULL, 
	done_at REAL, 
	CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (id), 
	CONSTRAINT webhook_deliveries_webhook_id_fkey FOREIGN KEY(webhook_id) REFERENCES webhooks (id) ON DELETE CASCADE
)
 STRICT

;
INSERT INTO "webhook_deliveries" VALUES('d1','w1','prompt.created','{}',0,NULL,'',0,1800000000.5,NULL);
CREATE TABLE webhooks (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	url TEXT NOT NULL, 
	events TEXT NOT NULL, 
	description TEXT NOT NULL, 
	status TEXT NOT NULL, 
	secret TEXT NOT NULL, 
	created_by TEXT NOT NULL, 
	created_at REAL NOT NULL, 
	updated_at REAL NOT NULL, 
	CONSTRAINT webhooks_pkey PRIMARY KEY (id)
)
 STRICT

;
INSERT INTO "webhooks" VALUES('w1','ci','https://ci.example','["prompt.created"]','','ACTIVE','s','',1800000000.5,1800000000.5);
CREATE INDEX tokens_subject_created_at ON tokens (subject, created_at);
CREATE INDEX events_project_id ON events (project, id);
CREATE INDEX events_kind_id ON events (kind, id);
CREATE INDEX events_subject_id ON events (subject, id);
CREATE INDEX params_key_shown ON params ("key", substr((CASE WHEN substr(value, 1, 1) <> '"' THEN value WHEN instr(value, '\') = 0 THEN substr(value, 2, length(value) - 2) ELSE json_extract(replace(value, '\u0000', '\u0001'), '$') END), 1, 200), run_id);
CREATE INDEX tags_key_begin ON tags ("key", substr(value, 1, 200), run_id);
CREATE UNIQUE INDEX metric_chunks_place ON metric_chunks (series_id, first_step, first_at, first_is_number, first_value);
CREATE INDEX inputs_source_run_id ON inputs (source_run_id);
CREATE INDEX webhooks_created_at_id ON webhooks (created_at, id);
CREATE INDEX jobs_subject_seq ON jobs (subject, seq);
CREATE INDEX jobs_state_seq ON jobs (state, seq);
CREATE INDEX jobs_claimable ON jobs (priority DESC, seq, claimable_at, pool, kind) WHERE claimable_at IS NOT NULL;
CREATE INDEX datasets_project_id ON datasets (project_id);
CREATE INDEX evaluation_datasets_created_at_id ON evaluation_datasets (created_at, id);
CREATE INDEX evaluation_datasets_project_id ON evaluation_datasets (project_id);
CREATE INDEX experiments_created_at_id ON experiments (created_at, id);
CREATE INDEX experiments_name_created_at ON experiments (name, created_at);
CREATE INDEX models_project_id_name ON models (project_id, name);
CREATE INDEX endpoints_project_id_name ON endpoints (project_id, name);
CREATE INDEX webhook_deliveries_webhook_id_created_at_id ON webhook_deliveries (webhook_id, created_at, id);
CREATE INDEX pipelines_created_at_id ON pipelines (created_at, id);
CREATE INDEX pipelines_status_created_at_id ON pipelines (status, created_at, id);
CREATE INDEX pipelines_project_id_created_at_id ON pipelines (project_id, created_at, id);
CREATE INDEX pipelines_commit_created_at_id ON pipelines ("commit", created_at, id);
CREATE INDEX dataset_versions_source_run_id ON dataset_versions (source_run_id);
CREATE INDEX dataset_versions_digest ON dataset_versions (digest);
CREATE INDEX evaluation_experiments_experiment_id ON evaluation_experiments (experiment_id);
CREATE INDEX model_versions_run_id ON model_versions (run_id);
CREATE INDEX runs_experiment_id_created_at_id ON runs (experiment_id, created_at, id);
CREATE INDEX runs_created_at_id ON runs (created_at, id);
CREATE INDEX runs_status_created_at_id ON runs (status, created_at, id);
CREATE INDEX runs_begun ON runs (coalesce(started_at, created_at) DESC, id, experiment_id);
CREATE INDEX runs_kind_created_at_id ON runs (kind, created_at, id);
CREATE INDEX runs_project_id_created_at_id ON runs (project_id, created_at, id);
CREATE INDEX runs_pipeline_id_created_at_id ON runs (pipeline_id, created_at, id);
CREATE INDEX runs_project_id_status_created_at_id ON runs (project_id, status, created_at, id);
CREATE INDEX runs_stage_id_created_at_id ON runs (stage_id, created_at, id);
CREATE INDEX runs_project_id_name_created_at_id ON runs (project_id, name, created_at, id);
CREATE INDEX runs_replay_of_created_at_id ON runs (replay_of, created_at, id);
CREATE INDEX runs_experiment_id_begun ON runs (experiment_id, coalesce(started_at, created_at) DESC, id);
CREATE INDEX runs_project_id_started_at_created_at_id ON runs (project_id, started_at, created_at, id);
CREATE INDEX runs_project_id_ended_at_created_at_id ON runs (project_id, ended_at, created_at, id);
CREATE INDEX traces_experiment_id_newest ON traces (experiment_id, started_ms DESC, id);
CREATE INDEX logged_models_experiment_id_created_at_id ON logged_models (experiment_id, created_at, id);
CREATE INDEX logged_models_source_run_id ON logged_models (source_run_id);
CREATE INDEX stages_run_id ON stages (run_id);
CREATE INDEX dataset_reads_run_id ON dataset_reads (run_id);
CREATE INDEX revisions_state ON revisions (state);
CREATE INDEX review_users_user_name ON review_users (user_name);
CREATE INDEX review_items_trace_id ON review_items (trace_id);
CREATE INDEX issues_source_run_id ON issues (source_run_id);
CREATE INDEX issues_experiment_id ON issues (experiment_id);
CREATE INDEX run_words_run_id ON run_words (run_id);
CREATE INDEX metric_series_key_last_run_id ON metric_series ("key", last, run_id);
CREATE INDEX verdicts_run_id_at_id ON verdicts (run_id, at, id);
CREATE INDEX trace_tags_key_begin ON trace_tags ("key", substr(value, 1, 200), trace_id);
CREATE INDEX trace_metadata_key_begin ON trace_metadata ("key", substr(value, 1, 200), trace_id);
CREATE INDEX assessments_trace_id ON assessments (trace_id);
CREATE INDEX assessments_issue ON assessments (name, trace_id) WHERE kind = 'issue' AND length(name) <= 64;
CREATE INDEX run_traces_trace_id ON run_traces (trace_id);
CREATE INDEX trace_prompts_trace_id ON trace_prompts (trace_id);
CREATE INDEX run_datasets_dataset_id ON run_datasets (dataset_id);
CREATE INDEX logged_model_metrics_run_id ON logged_model_metrics (run_id);
CREATE INDEX run_models_model_id ON run_models (model_id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('events',1);
INSERT INTO "sqlite_sequence" VALUES('jobs',1);
COMMIT;
