CREATE TABLE public.aliases (
    model text NOT NULL COLLATE pg_catalog."C",
    alias text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    previous bigint,
    moved_by text NOT NULL COLLATE pg_catalog."C",
    moved_at double precision NOT NULL
);
CREATE TABLE public.artifacts (
    run_id text NOT NULL COLLATE pg_catalog."C",
    path text NOT NULL COLLATE pg_catalog."C",
    manifest text NOT NULL COLLATE pg_catalog."C",
    size_bytes bigint NOT NULL,
    files bigint NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.assessments (
    id text NOT NULL COLLATE pg_catalog."C",
    trace_id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    value text NOT NULL COLLATE pg_catalog."C",
    number double precision,
    is_numeric boolean NOT NULL,
    error text NOT NULL COLLATE pg_catalog."C",
    source_type text NOT NULL COLLATE pg_catalog."C",
    source_id text NOT NULL COLLATE pg_catalog."C",
    source_run_id text NOT NULL COLLATE pg_catalog."C",
    span_id text NOT NULL COLLATE pg_catalog."C",
    rationale text NOT NULL COLLATE pg_catalog."C",
    metadata text NOT NULL COLLATE pg_catalog."C",
    overrides text NOT NULL COLLATE pg_catalog."C",
    is_valid boolean NOT NULL,
    created_ms bigint NOT NULL,
    updated_ms bigint NOT NULL
);
CREATE TABLE public.blob_pins (
    digest text NOT NULL COLLATE pg_catalog."C",
    at double precision NOT NULL,
    is_doomed boolean NOT NULL
);
CREATE TABLE public.counters (
    name text NOT NULL COLLATE pg_catalog."C",
    value bigint NOT NULL
);
CREATE TABLE public.dataset_reads (
    dataset_id text NOT NULL COLLATE pg_catalog."C",
    number bigint NOT NULL,
    run_id text NOT NULL COLLATE pg_catalog."C",
    path text NOT NULL COLLATE pg_catalog."C",
    at double precision NOT NULL
);
CREATE TABLE public.dataset_versions (
    id text NOT NULL COLLATE pg_catalog."C",
    dataset_id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    number bigint NOT NULL,
    digest text NOT NULL COLLATE pg_catalog."C",
    layout text NOT NULL COLLATE pg_catalog."C",
    message text NOT NULL COLLATE pg_catalog."C",
    files bigint NOT NULL,
    size_bytes bigint NOT NULL,
    added_bytes bigint NOT NULL,
    profile text NOT NULL COLLATE pg_catalog."C",
    source text NOT NULL COLLATE pg_catalog."C",
    source_run_id text NOT NULL COLLATE pg_catalog."C",
    created_by text NOT NULL COLLATE pg_catalog."C",
    created_at double precision NOT NULL
);
CREATE TABLE public.datasets (
    id text NOT NULL COLLATE pg_catalog."C",
    project_id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    created_by text NOT NULL COLLATE pg_catalog."C",
    created_at double precision NOT NULL,
    last_version bigint NOT NULL
);
CREATE TABLE public.deliveries (
    forge text NOT NULL COLLATE pg_catalog."C",
    delivery_id text NOT NULL COLLATE pg_catalog."C",
    at double precision NOT NULL
);
CREATE TABLE public.endpoints (
    id text NOT NULL COLLATE pg_catalog."C",
    project_id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    model text NOT NULL COLLATE pg_catalog."C",
    live text NOT NULL COLLATE pg_catalog."C",
    previous text NOT NULL COLLATE pg_catalog."C",
    created_at double precision NOT NULL,
    last_revision bigint NOT NULL
);
CREATE TABLE public.environments (
    key text NOT NULL COLLATE pg_catalog."C",
    lock_digest text NOT NULL COLLATE pg_catalog."C",
    created_at double precision NOT NULL
);
CREATE TABLE public.evaluation_datasets (
    id text NOT NULL COLLATE pg_catalog."C",
    project_id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    digest text NOT NULL COLLATE pg_catalog."C",
    schema text NOT NULL COLLATE pg_catalog."C",
    records bigint NOT NULL,
    author text NOT NULL COLLATE pg_catalog."C",
    last_author text NOT NULL COLLATE pg_catalog."C",
    created_by text NOT NULL COLLATE pg_catalog."C",
    created_at double precision NOT NULL,
    updated_at double precision NOT NULL
);
CREATE TABLE public.evaluation_experiments (
    dataset_id text NOT NULL COLLATE pg_catalog."C",
    experiment_id text NOT NULL COLLATE pg_catalog."C",
    at double precision NOT NULL
);
CREATE TABLE public.evaluation_records (
    id text NOT NULL COLLATE pg_catalog."C",
    dataset_id text NOT NULL COLLATE pg_catalog."C",
    number bigint NOT NULL,
    input_digest text NOT NULL COLLATE pg_catalog."C",
    inputs text NOT NULL COLLATE pg_catalog."C",
    outputs text NOT NULL COLLATE pg_catalog."C",
    expectations text NOT NULL COLLATE pg_catalog."C",
    tags text NOT NULL COLLATE pg_catalog."C",
    source text NOT NULL COLLATE pg_catalog."C",
    author text NOT NULL COLLATE pg_catalog."C",
    last_author text NOT NULL COLLATE pg_catalog."C",
    created_at double precision NOT NULL,
    updated_at double precision NOT NULL
);
CREATE TABLE public.evaluation_tags (
    dataset_id text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    value text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.events (
    id bigint NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    actor text NOT NULL COLLATE pg_catalog."C",
    subject text NOT NULL COLLATE pg_catalog."C",
    project text NOT NULL COLLATE pg_catalog."C",
    facts text NOT NULL COLLATE pg_catalog."C",
    at double precision NOT NULL
);
CREATE SEQUENCE public.events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.events_id_seq OWNED BY public.events.id;
CREATE TABLE public.experiment_tags (
    experiment_id text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    value text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.experiments (
    id text NOT NULL COLLATE pg_catalog."C",
    project_id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    created_at double precision NOT NULL,
    artifact_location text COLLATE pg_catalog."C",
    created_by text COLLATE pg_catalog."C",
    updated_at double precision,
    deleted_at double precision
);
CREATE TABLE public.inputs (
    run_id text NOT NULL COLLATE pg_catalog."C",
    path text NOT NULL COLLATE pg_catalog."C",
    manifest text NOT NULL COLLATE pg_catalog."C",
    origin text NOT NULL COLLATE pg_catalog."C",
    source_run_id text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.issues (
    id text NOT NULL COLLATE pg_catalog."C",
    experiment_id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    description text NOT NULL COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    severity text COLLATE pg_catalog."C",
    root_causes text NOT NULL COLLATE pg_catalog."C",
    source_run_id text COLLATE pg_catalog."C",
    categories text NOT NULL COLLATE pg_catalog."C",
    author text NOT NULL COLLATE pg_catalog."C",
    created_by text NOT NULL COLLATE pg_catalog."C",
    created_at double precision NOT NULL,
    updated_at double precision NOT NULL
);
CREATE TABLE public.jobs (
    seq bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    state text NOT NULL COLLATE pg_catalog."C",
    pool text NOT NULL COLLATE pg_catalog."C",
    subject text NOT NULL COLLATE pg_catalog."C",
    project_id text NOT NULL COLLATE pg_catalog."C",
    payload text NOT NULL COLLATE pg_catalog."C",
    priority bigint NOT NULL,
    run_after double precision NOT NULL,
    attempt bigint NOT NULL,
    max_attempts bigint NOT NULL,
    fence bigint NOT NULL,
    lease_owner text NOT NULL COLLATE pg_catalog."C",
    lease_until double precision NOT NULL,
    lease_s double precision NOT NULL,
    handle text NOT NULL COLLATE pg_catalog."C",
    cancel_requested boolean NOT NULL,
    result text NOT NULL COLLATE pg_catalog."C",
    error text NOT NULL COLLATE pg_catalog."C",
    created_at double precision NOT NULL,
    started_at double precision,
    ended_at double precision,
    unique_key text COLLATE pg_catalog."C",
    claimable_at double precision GENERATED ALWAYS AS (
CASE
    WHEN (state = 'queued'::text) THEN run_after
    WHEN ((state = 'running'::text) AND (attempt < max_attempts) AND (NOT cancel_requested)) THEN lease_until
    ELSE NULL::double precision
END) STORED
);
CREATE SEQUENCE public.jobs_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.jobs_seq_seq OWNED BY public.jobs.seq;
CREATE TABLE public.label_schemas (
    id text NOT NULL COLLATE pg_catalog."C",
    experiment_id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    input text NOT NULL COLLATE pg_catalog."C",
    instruction text COLLATE pg_catalog."C",
    enable_comment boolean NOT NULL,
    is_default boolean NOT NULL,
    created_by text NOT NULL COLLATE pg_catalog."C",
    created_at double precision NOT NULL,
    updated_at double precision NOT NULL
);
CREATE TABLE public.locks (
    name text NOT NULL COLLATE pg_catalog."C",
    owner text NOT NULL COLLATE pg_catalog."C",
    lease_until double precision NOT NULL,
    lease_s double precision NOT NULL
);
CREATE TABLE public.log_chunks (
    run_id text NOT NULL COLLATE pg_catalog."C",
    start bigint NOT NULL,
    data bytea NOT NULL
);
CREATE TABLE public.logged_datasets (
    id text NOT NULL COLLATE pg_catalog."C",
    experiment_id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    digest text NOT NULL COLLATE pg_catalog."C",
    source_type text NOT NULL COLLATE pg_catalog."C",
    source text NOT NULL COLLATE pg_catalog."C",
    schema text NOT NULL COLLATE pg_catalog."C",
    profile text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.logged_model_metrics (
    model_id text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    run_id text NOT NULL COLLATE pg_catalog."C",
    step bigint NOT NULL,
    at double precision NOT NULL,
    value double precision NOT NULL,
    is_nan bigint NOT NULL,
    dataset_name text NOT NULL COLLATE pg_catalog."C",
    dataset_digest text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.logged_model_params (
    model_id text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    value text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.logged_model_tags (
    model_id text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    value text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.logged_models (
    id text NOT NULL COLLATE pg_catalog."C",
    experiment_id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    artifact_location text NOT NULL COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    status_message text NOT NULL COLLATE pg_catalog."C",
    source_run_id text NOT NULL COLLATE pg_catalog."C",
    model_type text NOT NULL COLLATE pg_catalog."C",
    created_by text NOT NULL COLLATE pg_catalog."C",
    created_at double precision NOT NULL,
    updated_at double precision NOT NULL,
    deleted_at double precision
);
CREATE TABLE public.meta (
    key text NOT NULL COLLATE pg_catalog."C",
    value text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.metric_batches (
    run_id text NOT NULL COLLATE pg_catalog."C",
    batch text NOT NULL COLLATE pg_catalog."C",
    at double precision NOT NULL
);
CREATE TABLE public.metric_chunks (
    id bigint NOT NULL,
    series_id bigint NOT NULL,
    first_step bigint NOT NULL,
    first_at double precision NOT NULL,
    first_is_number bigint NOT NULL,
    first_value double precision NOT NULL,
    last_step bigint NOT NULL,
    last_at double precision NOT NULL,
    last_is_number bigint NOT NULL,
    last_value double precision NOT NULL,
    count bigint NOT NULL,
    sketch bytea NOT NULL,
    points bytea NOT NULL
);
CREATE SEQUENCE public.metric_chunks_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.metric_chunks_id_seq OWNED BY public.metric_chunks.id;
CREATE TABLE public.metric_points (
    series_id bigint NOT NULL,
    step bigint NOT NULL,
    at double precision NOT NULL,
    value double precision NOT NULL,
    is_nan bigint NOT NULL
);
CREATE TABLE public.metric_series (
    id bigint NOT NULL,
    run_id text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    last double precision,
    last_step bigint NOT NULL,
    last_at double precision NOT NULL,
    first double precision,
    first_step bigint NOT NULL,
    first_at double precision NOT NULL,
    min double precision,
    max double precision,
    count bigint NOT NULL,
    packed bigint
);
CREATE SEQUENCE public.metric_series_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.metric_series_id_seq OWNED BY public.metric_series.id;
CREATE TABLE public.metric_tails (
    run_id text NOT NULL COLLATE pg_catalog."C",
    is_long boolean NOT NULL
);
CREATE TABLE public.model_tags (
    model_id text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    value text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.model_versions (
    id text NOT NULL COLLATE pg_catalog."C",
    model_id text NOT NULL COLLATE pg_catalog."C",
    model text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    run_id text NOT NULL COLLATE pg_catalog."C",
    manifest text NOT NULL COLLATE pg_catalog."C",
    sha256 text NOT NULL COLLATE pg_catalog."C",
    pipeline_id text NOT NULL COLLATE pg_catalog."C",
    stage_id text COLLATE pg_catalog."C",
    loader text NOT NULL COLLATE pg_catalog."C",
    contract text NOT NULL COLLATE pg_catalog."C",
    signature text COLLATE pg_catalog."C",
    provenance text NOT NULL COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    facts text NOT NULL COLLATE pg_catalog."C",
    created_by text NOT NULL COLLATE pg_catalog."C",
    created_at double precision NOT NULL,
    description text COLLATE pg_catalog."C",
    source text COLLATE pg_catalog."C",
    run_link text COLLATE pg_catalog."C",
    stage text COLLATE pg_catalog."C",
    logged_model_id text COLLATE pg_catalog."C",
    updated_at double precision
);
CREATE TABLE public.models (
    id text NOT NULL COLLATE pg_catalog."C",
    project_id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    created_at double precision NOT NULL,
    last_version bigint NOT NULL,
    description text COLLATE pg_catalog."C",
    created_by text COLLATE pg_catalog."C",
    updated_at double precision
);
CREATE TABLE public.params (
    run_id text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    value text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.pipelines (
    id text NOT NULL COLLATE pg_catalog."C",
    project_id text NOT NULL COLLATE pg_catalog."C",
    number bigint NOT NULL,
    commit text NOT NULL COLLATE pg_catalog."C",
    ref text NOT NULL COLLATE pg_catalog."C",
    trigger text NOT NULL COLLATE pg_catalog."C",
    actor text NOT NULL COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    title text NOT NULL COLLATE pg_catalog."C",
    code text NOT NULL COLLATE pg_catalog."C",
    environment text NOT NULL COLLATE pg_catalog."C",
    spec text COLLATE pg_catalog."C",
    error text NOT NULL COLLATE pg_catalog."C",
    warnings text NOT NULL COLLATE pg_catalog."C",
    rerun_of text NOT NULL COLLATE pg_catalog."C",
    created_at double precision NOT NULL,
    started_at double precision,
    ended_at double precision
);
CREATE TABLE public.pools (
    name text NOT NULL COLLATE pg_catalog."C",
    executor text NOT NULL COLLATE pg_catalog."C",
    config text NOT NULL COLLATE pg_catalog."C",
    slots bigint NOT NULL
);
CREATE TABLE public.projects (
    id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    default_branch text NOT NULL COLLATE pg_catalog."C",
    mirror text NOT NULL COLLATE pg_catalog."C",
    created_at double precision NOT NULL,
    last_pipeline bigint NOT NULL
);
CREATE TABLE public.refs (
    project_id text NOT NULL COLLATE pg_catalog."C",
    ref text NOT NULL COLLATE pg_catalog."C",
    commit text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.review_items (
    queue_id text NOT NULL COLLATE pg_catalog."C",
    trace_id text NOT NULL COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    completed_by text NOT NULL COLLATE pg_catalog."C",
    completed_at double precision,
    created_at double precision NOT NULL,
    updated_at double precision NOT NULL
);
CREATE TABLE public.review_queues (
    id text NOT NULL COLLATE pg_catalog."C",
    experiment_id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    folded_name text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    schema_ids text NOT NULL COLLATE pg_catalog."C",
    owner text NOT NULL COLLATE pg_catalog."C",
    created_by text NOT NULL COLLATE pg_catalog."C",
    created_at double precision NOT NULL,
    updated_at double precision NOT NULL
);
CREATE TABLE public.review_users (
    queue_id text NOT NULL COLLATE pg_catalog."C",
    user_name text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.revisions (
    id text NOT NULL COLLATE pg_catalog."C",
    endpoint_id text NOT NULL COLLATE pg_catalog."C",
    number bigint NOT NULL,
    version_id text NOT NULL COLLATE pg_catalog."C",
    state text NOT NULL COLLATE pg_catalog."C",
    job_id text NOT NULL COLLATE pg_catalog."C",
    address text NOT NULL COLLATE pg_catalog."C",
    stage_id text COLLATE pg_catalog."C",
    restarts bigint NOT NULL,
    error text NOT NULL COLLATE pg_catalog."C",
    facts text NOT NULL COLLATE pg_catalog."C",
    created_at double precision NOT NULL,
    ready_at double precision
);
CREATE TABLE public.run_datasets (
    run_id text NOT NULL COLLATE pg_catalog."C",
    dataset_id text NOT NULL COLLATE pg_catalog."C",
    tags text NOT NULL COLLATE pg_catalog."C",
    at double precision NOT NULL
);
CREATE TABLE public.run_models (
    run_id text NOT NULL COLLATE pg_catalog."C",
    model_id text NOT NULL COLLATE pg_catalog."C",
    role text NOT NULL COLLATE pg_catalog."C",
    step bigint NOT NULL,
    at double precision NOT NULL
);
CREATE TABLE public.run_traces (
    run_id text NOT NULL COLLATE pg_catalog."C",
    trace_id text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.run_words (
    word text NOT NULL COLLATE pg_catalog."C",
    run_id text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.runs (
    id text NOT NULL COLLATE pg_catalog."C",
    project_id text NOT NULL COLLATE pg_catalog."C",
    experiment_id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    actor text NOT NULL COLLATE pg_catalog."C",
    pipeline_id text NOT NULL COLLATE pg_catalog."C",
    stage_id text NOT NULL COLLATE pg_catalog."C",
    stage text NOT NULL COLLATE pg_catalog."C",
    job_id text NOT NULL COLLATE pg_catalog."C",
    fence bigint NOT NULL,
    command text NOT NULL COLLATE pg_catalog."C",
    commit text NOT NULL COLLATE pg_catalog."C",
    exit_code bigint,
    failure text COLLATE pg_catalog."C",
    reason text NOT NULL COLLATE pg_catalog."C",
    recipe text NOT NULL COLLATE pg_catalog."C",
    recipe_digest text NOT NULL COLLATE pg_catalog."C",
    trajectory text NOT NULL COLLATE pg_catalog."C",
    log text NOT NULL COLLATE pg_catalog."C",
    log_bytes bigint NOT NULL,
    replay_of text NOT NULL COLLATE pg_catalog."C",
    superseded_by text NOT NULL COLLATE pg_catalog."C",
    tainted boolean NOT NULL,
    usage text COLLATE pg_catalog."C",
    created_at double precision NOT NULL,
    started_at double precision,
    ended_at double precision,
    deleted_at double precision,
    heard_at double precision
);
CREATE TABLE public.saved_views (
    id text NOT NULL COLLATE pg_catalog."C",
    project_id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    query text NOT NULL COLLATE pg_catalog."C",
    created_by text NOT NULL COLLATE pg_catalog."C",
    created_at double precision NOT NULL
);
CREATE TABLE public.schema_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.scorer_versions (
    scorer_id text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    body text NOT NULL COLLATE pg_catalog."C",
    created_at double precision NOT NULL
);
CREATE TABLE public.scorers (
    id text NOT NULL COLLATE pg_catalog."C",
    experiment_id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    created_by text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.spans (
    trace_id text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    parent_id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    type text NOT NULL COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    started_ns bigint NOT NULL,
    ended_ns bigint,
    content text NOT NULL COLLATE pg_catalog."C",
    usage text NOT NULL COLLATE pg_catalog."C",
    cost text NOT NULL COLLATE pg_catalog."C",
    model text NOT NULL COLLATE pg_catalog."C",
    provider text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.stage_cache (
    project_id text NOT NULL COLLATE pg_catalog."C",
    cache_key text NOT NULL COLLATE pg_catalog."C",
    scope text NOT NULL COLLATE pg_catalog."C",
    run_id text NOT NULL COLLATE pg_catalog."C",
    created_at double precision NOT NULL
);
CREATE TABLE public.stages (
    id text NOT NULL COLLATE pg_catalog."C",
    pipeline_id text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    action text NOT NULL COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    planned text NOT NULL COLLATE pg_catalog."C",
    "position" bigint NOT NULL,
    cache_key text NOT NULL COLLATE pg_catalog."C",
    cache_facts text NOT NULL COLLATE pg_catalog."C",
    run_id text NOT NULL COLLATE pg_catalog."C",
    job_id text NOT NULL COLLATE pg_catalog."C",
    attempts bigint NOT NULL,
    reason text NOT NULL COLLATE pg_catalog."C",
    result text NOT NULL COLLATE pg_catalog."C",
    queued_at double precision,
    started_at double precision,
    ended_at double precision
);
CREATE TABLE public.stored_files (
    path text NOT NULL COLLATE pg_catalog."C",
    digest text NOT NULL COLLATE pg_catalog."C",
    size_bytes bigint NOT NULL,
    created_by text NOT NULL COLLATE pg_catalog."C",
    created_at double precision NOT NULL
);
CREATE TABLE public.tags (
    run_id text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    value text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.tokens (
    id text NOT NULL COLLATE pg_catalog."C",
    secret_sha256 text NOT NULL COLLATE pg_catalog."C",
    scope text NOT NULL COLLATE pg_catalog."C",
    subject text NOT NULL COLLATE pg_catalog."C",
    label text NOT NULL COLLATE pg_catalog."C",
    project_id text NOT NULL COLLATE pg_catalog."C",
    run_id text NOT NULL COLLATE pg_catalog."C",
    fence bigint NOT NULL,
    expires_at double precision,
    last_used_at double precision,
    created_at double precision NOT NULL
);
CREATE TABLE public.trace_metadata (
    trace_id text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    value text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.trace_numbers (
    trace_id text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    value double precision NOT NULL
);
CREATE TABLE public.trace_prompts (
    prompt text NOT NULL COLLATE pg_catalog."C",
    trace_id text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.trace_tags (
    trace_id text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    value text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.traces (
    id text NOT NULL COLLATE pg_catalog."C",
    experiment_id text NOT NULL COLLATE pg_catalog."C",
    started_ms bigint NOT NULL,
    duration_ms bigint,
    state text NOT NULL COLLATE pg_catalog."C",
    client_request_id text COLLATE pg_catalog."C",
    request_preview text COLLATE pg_catalog."C",
    response_preview text COLLATE pg_catalog."C",
    created_by text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.users (
    id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    role text NOT NULL COLLATE pg_catalog."C",
    created_at double precision NOT NULL
);
CREATE TABLE public.verdicts (
    id text NOT NULL COLLATE pg_catalog."C",
    run_id text NOT NULL COLLATE pg_catalog."C",
    at double precision NOT NULL,
    body text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.version_tags (
    version_id text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    value text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.webhook_deliveries (
    id text NOT NULL COLLATE pg_catalog."C",
    webhook_id text NOT NULL COLLATE pg_catalog."C",
    event text NOT NULL COLLATE pg_catalog."C",
    body text NOT NULL COLLATE pg_catalog."C",
    attempts bigint NOT NULL,
    status bigint,
    error text NOT NULL COLLATE pg_catalog."C",
    is_done boolean NOT NULL,
    created_at double precision NOT NULL,
    done_at double precision
);
CREATE TABLE public.webhooks (
    id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    url text NOT NULL COLLATE pg_catalog."C",
    events text NOT NULL COLLATE pg_catalog."C",
    description text NOT NULL COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    secret text NOT NULL COLLATE pg_catalog."C",
    created_by text NOT NULL COLLATE pg_catalog."C",
    created_at double precision NOT NULL,
    updated_at double precision NOT NULL
);
ALTER TABLE ONLY public.events ALTER COLUMN id SET DEFAULT nextval('public.events_id_seq'::regclass);
ALTER TABLE ONLY public.jobs ALTER COLUMN seq SET DEFAULT nextval('public.jobs_seq_seq'::regclass);
ALTER TABLE ONLY public.metric_chunks ALTER COLUMN id SET DEFAULT nextval('public.metric_chunks_id_seq'::regclass);
ALTER TABLE ONLY public.metric_series ALTER COLUMN id SET DEFAULT nextval('public.metric_series_id_seq'::regclass);
INSERT INTO public.aliases VALUES ('digits', 'champion', 1, NULL, 'ann', 1800000000.5);
INSERT INTO public.artifacts VALUES ('11111111111111111111111111111111', 'model', 'm', 1099511627776, 2, 'out');
INSERT INTO public.assessments VALUES ('a-1', 'tr-1', 'ok', 'feedback', 'true', 1, false, '{}', '', '', '', '', '', '{"a":"b"}', '', true, 0, 0);
INSERT INTO public.counters VALUES ('routing', 1);
INSERT INTO public.dataset_reads VALUES ('data-1', 1, '11111111111111111111111111111111', 'data/sales', 1800000000.5);
INSERT INTO public.dataset_versions VALUES ('data-1-1', 'data-1', 'sales', 1, 'manifest digest', 'layout digest', 'täg', 2, 1099511627776, 0, '{"tables":[{"path":"a.csv"}]}', '', '11111111111111111111111111111111', '', 1800000000.5);
INSERT INTO public.datasets VALUES ('data-1', 'f4b022d4c9db125d27f77afcb9c8b73b', 'sales', 'ann', 1800000000.5, 1);
INSERT INTO public.deliveries VALUES ('github', 'delivery-1', 1800000000.5);
INSERT INTO public.endpoints VALUES ('4b22347956109c0b9bbd17792c6c03ac', 'f4b022d4c9db125d27f77afcb9c8b73b', 'digits', 'digits', '66666666666666666666666666666666', '', 1800000000.5, 1);
INSERT INTO public.environments VALUES ('environment key', 'lock digest', 1800000000.5);
INSERT INTO public.evaluation_datasets VALUES ('d-1', 'f4b022d4c9db125d27f77afcb9c8b73b', 'questions', '0', '', 1, '', '', '', 1800000000.5, 1800000000.5);
INSERT INTO public.evaluation_experiments VALUES ('d-1', '9fd5624eb56188b7fb3a9111d957b431', 1800000000.5);
INSERT INTO public.evaluation_records VALUES ('dr-1', 'd-1', 1, 'i', '{"q": "why?"}', '', '', '', '', '', '', 0, 0);
INSERT INTO public.evaluation_tags VALUES ('d-1', 'team', 'blue');
INSERT INTO public.events VALUES (1, 'push', 'ann', 'run:11111111111111111111111111111111', '', '{"ref":"trunk"}', 1800000000.5);
INSERT INTO public.experiments VALUES ('f2897dc2808e960b355fdf2f627952e1', 'f4b022d4c9db125d27f77afcb9c8b73b', 'default', 1800000000.5, NULL, NULL, NULL, NULL);
INSERT INTO public.experiments VALUES ('9fd5624eb56188b7fb3a9111d957b431', 'f4b022d4c9db125d27f77afcb9c8b73b', 'tries', 1800000000.5, NULL, NULL, NULL, NULL);
INSERT INTO public.inputs VALUES ('11111111111111111111111111111111', 'data', 'm', 'file', '11111111111111111111111111111111');
INSERT INTO public.issues VALUES ('iss-1', '9fd5624eb56188b7fb3a9111d957b431', 'slow', 'it takes long', 'pending', 'low', '["a loop"]', '11111111111111111111111111111111', '[]', '', 'ann', 1800000000.5, 1800000000.5);
INSERT INTO public.jobs VALUES (1, '22222222222222222222222222222222', 'stage', 'running', 'local', '', '', '{"n":[1]}', 0, 0, 1, 3, 1, 'hub 1', 1800000030.5, 30, '{}', false, '{}', '', 1800000000.5, 1800000000.5, NULL, 'once', DEFAULT);
INSERT INTO public.label_schemas VALUES ('ls-1', '9fd5624eb56188b7fb3a9111d957b431', 'good?', 'feedback', '{"text":{"max_length":9}}', NULL, false, false, 'ann', 1800000000.5, 1800000000.5);
INSERT INTO public.locks VALUES ('scheduler', 'hub 1', 1800000010.5, 10);
INSERT INTO public.log_chunks VALUES ('11111111111111111111111111111111', 0, '\x68656c6c6fff');
INSERT INTO public.logged_model_metrics VALUES ('m-1', 'acc', '11111111111111111111111111111111', 0, 1800000000.5, 0.5, 0, 'd', '');
INSERT INTO public.logged_model_params VALUES ('m-1', 'lr', '0.1');
INSERT INTO public.logged_model_tags VALUES ('m-1', 'team', 'blue');
INSERT INTO public.logged_models VALUES ('m-1', '9fd5624eb56188b7fb3a9111d957b431', 'net', 'here', 'pending', '', '', '', '', 1800000000.5, 1800000000.5, NULL);
INSERT INTO public.meta VALUES ('key', 'value');
INSERT INTO public.metric_batches VALUES ('11111111111111111111111111111111', 'b1', 1800000000.5);
INSERT INTO public.metric_chunks VALUES (1, 3, 0, 1800000000.5, 0, 0, 39, 1800000039.5, 1, -3.9000000000000004, 40, '\x94019201c40c7801635463400100025a00289201c418780163606060486868e02c61b8c4708bc19101001bd703cb9200c41278019b6532d3180677f2ef3f000038e40712', '\x94019201c41178016360240e308c02ac2100002ef400289201c42178016360a02e5070200e3410696d0991ea2e11a9ee1691ea1c89540700ddff0cc29200c4707801639835cb64168349faacb30cb34ccea64388b3b3d24d18d08899338d673218a7cd3cc330d3f84c1a84383333cd98018d18e4ea7eec3c79f9e68fc7cf5ebef9f1f1f3976f3f7efefef3ef07032313f30f165636f61f1c9c5cdc3f7878f9f8ebf703013a710008ea51090018199269');
INSERT INTO public.metric_points VALUES (1, 0, 1800000000.5, 0, 0);
INSERT INTO public.metric_points VALUES (1, 1, 1800000001.5, 0.1, 0);
INSERT INTO public.metric_points VALUES (1, 2, 1800000002.5, 0.2, 0);
INSERT INTO public.metric_points VALUES (2, 0, 0, 'Infinity', 0);
INSERT INTO public.metric_points VALUES (3, 7, 1800000000.5, 1.5, 0);
INSERT INTO public.metric_series VALUES (1, '11111111111111111111111111111111', 'acc', 0.2, 2, 1800000002.5, 0, 0, 1800000000.5, 0, 0.2, 3, 0);
INSERT INTO public.metric_series VALUES (2, '11111111111111111111111111111111', 'loss', 'Infinity', 0, 0, 'Infinity', 0, 0, 'Infinity', 'Infinity', 1, 0);
INSERT INTO public.metric_series VALUES (3, '11111111111111111111111111111111', 'many', -3.9000000000000004, 39, 1800000039.5, NULL, 0, 1800000000.5, -3.9000000000000004, 1.5, 41, 40);
INSERT INTO public.model_tags VALUES ('5517db4540ed14819b0204a815b793d8', 'team', 'blue');
INSERT INTO public.model_versions VALUES ('55555555555555555555555555555555', '5517db4540ed14819b0204a815b793d8', 'digits', 1, '11111111111111111111111111111111', 'm', 's', '', '44444444444444444444444444444444', 'auto', '', '{"inputs":[{"name":"x","datatype":"FP32","shape":[-1,64]}],"outputs":[]}', '', 'candidate', '{"metrics":{"acc":0.2}}', '', 1800000000.5, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.models VALUES ('5517db4540ed14819b0204a815b793d8', 'f4b022d4c9db125d27f77afcb9c8b73b', 'digits', 1800000000.5, 1, NULL, NULL, NULL);
INSERT INTO public.params VALUES ('11111111111111111111111111111111', 'lr', '0.1');
INSERT INTO public.params VALUES ('11111111111111111111111111111111', 'layers', '[3,null]');
INSERT INTO public.params VALUES ('11111111111111111111111111111111', 'note', '"a\"\u0000\\"');
INSERT INTO public.pipelines VALUES ('33333333333333333333333333333333', 'f4b022d4c9db125d27f77afcb9c8b73b', 1, 'cccccccccccccccccccccccccccccccccccccccc', 'refs/heads/trunk', 'push', 'ann', 'running', '', '', '', '{"stages":[{"name":"train","cmd":["python train.py"],"needs":[],"deps":[],"outs":[],"params":[],"metrics":[],"plots":[],"env":{},"secrets":[],"resources":{"cpu":1.0,"memory_bytes":null,"gpu":0.0,"gpu_type":"","disk_bytes":null,"pool":"local"},"timeout_s":null,"retry":{"max":2,"when":["worker_lost"]},"matrix":{},"cache":true,"junit":"","select":null,"gates":[{"metric":"acc","min":0.9,"max":null,"vs":null,"min_delta":null,"max_delta":null}],"register":null,"deploy":null,"image":"","wdir":".","condition":"","hermetic":"warn","network":false}],"project":"","env":{"python":"","lock":""},"vars":{},"branches":[],"paths":[]}', '', '["a warning"]', '', 1800000000.5, NULL, NULL);
INSERT INTO public.pools VALUES ('local', 'local', '{"a":1}', 2);
INSERT INTO public.projects VALUES ('f4b022d4c9db125d27f77afcb9c8b73b', 'demo', 'trunk', '', 1800000000.5, 1);
INSERT INTO public.refs VALUES ('f4b022d4c9db125d27f77afcb9c8b73b', 'refs/heads/trunk', 'cccccccccccccccccccccccccccccccccccccccc');
INSERT INTO public.review_items VALUES ('rq-1', 'tr-1', 'complete', 'bob', 1800000000.5, 1800000000.5, 1800000000.5);
INSERT INTO public.review_queues VALUES ('rq-1', '9fd5624eb56188b7fb3a9111d957b431', 'To do', 'to do', 'custom', '["ls-1"]', '', 'ann', 1800000000.5, 1800000000.5);
INSERT INTO public.review_users VALUES ('rq-1', 'bob');
INSERT INTO public.revisions VALUES ('66666666666666666666666666666666', '4b22347956109c0b9bbd17792c6c03ac', 1, '55555555555555555555555555555555', 'ready', '', '', '44444444444444444444444444444444', 0, '', '{}', 1800000000.5, NULL);
INSERT INTO public.run_traces VALUES ('11111111111111111111111111111111', 'tr-1');
INSERT INTO public.run_words VALUES ('11111111111111111111111111111111', '11111111111111111111111111111111');
INSERT INTO public.run_words VALUES ('brave', '11111111111111111111111111111111');
INSERT INTO public.run_words VALUES ('otter', '11111111111111111111111111111111');
INSERT INTO public.runs VALUES ('11111111111111111111111111111111', 'f4b022d4c9db125d27f77afcb9c8b73b', 'f2897dc2808e960b355fdf2f627952e1', 'brave otter', 'stage', 'failed', '', '', '', '', '22222222222222222222222222222222', 1, '', '', NULL, 'oom', '', '', '', '', '', 0, '', '', true, '{"wall_s":1.5,"cpu_s":0.5,"max_rss_bytes":8589934592}', 1800000000.5, NULL, NULL, NULL, 1799999940.5);
INSERT INTO public.saved_views VALUES ('view1', 'f4b022d4c9db125d27f77afcb9c8b73b', 'best', 'order=-metrics.acc', 'ann', 1800000000.5);
INSERT INTO public.schema_version VALUES ('0008');
INSERT INTO public.scorer_versions VALUES ('128226d7315e8bb5fbe8cd0a47427015', 1, '{"name": "exact"}', 1800000000.5);
INSERT INTO public.scorers VALUES ('128226d7315e8bb5fbe8cd0a47427015', '9fd5624eb56188b7fb3a9111d957b431', 'exact', 'ann');
INSERT INTO public.spans VALUES ('tr-1', 's1', '', 'ask', '', 'UNSET', 5, NULL, '{}', '{"total_tokens":7}', '{}', '', '');
INSERT INTO public.stage_cache VALUES ('f4b022d4c9db125d27f77afcb9c8b73b', 'cache key', 'protected', '11111111111111111111111111111111', 1800000000.5);
INSERT INTO public.stages VALUES ('44444444444444444444444444444444', '33333333333333333333333333333333', 'train', 'train', 'run', 'running', '{"key":"train","name":"train","action":"run","spec":{"name":"train","cmd":["python train.py"],"needs":[],"deps":[],"outs":[],"params":[],"metrics":[],"plots":[],"env":{},"secrets":[],"resources":{"cpu":1.0,"memory_bytes":null,"gpu":0.0,"gpu_type":"","disk_bytes":null,"pool":"local"},"timeout_s":null,"retry":{"max":2,"when":["worker_lost"]},"matrix":{},"cache":true,"junit":"","select":null,"gates":[{"metric":"acc","min":0.9,"max":null,"vs":null,"min_delta":null,"max_delta":null}],"register":null,"deploy":null,"image":"","wdir":".","condition":"","hermetic":"warn","network":false},"needs":[],"values":{},"skip":"","max_parallel":null,"sources":{}}', 0, '', '{"cmd":"x"}', '', '', 0, '', '{"tests":{"passed":3}}', NULL, NULL, NULL);
INSERT INTO public.stored_files VALUES ('1/models/m-1/artifacts/MLmodel', 'd', 3, '', 1800000000.5);
INSERT INTO public.tags VALUES ('11111111111111111111111111111111', 'note', 'täg');
INSERT INTO public.tokens VALUES ('t1', 'digest', 'member', 'user:ann', '', '', '', 0, 1800000060.5, NULL, 1800000000.5);
INSERT INTO public.trace_metadata VALUES ('tr-1', 'mlflow.trace.session', 's');
INSERT INTO public.trace_numbers VALUES ('tr-1', 'total_tokens', 7);
INSERT INTO public.trace_numbers VALUES ('tr-1', 'total_cost', 0.5);
INSERT INTO public.trace_prompts VALUES ('greet/1', 'tr-1');
INSERT INTO public.trace_tags VALUES ('tr-1', 'team', 'blue');
INSERT INTO public.traces VALUES ('tr-1', '9fd5624eb56188b7fb3a9111d957b431', 5, 7, 'OK', NULL, NULL, NULL, '');
INSERT INTO public.users VALUES ('u1', 'ann', 'admin', 1800000000.5);
INSERT INTO public.verdicts VALUES ('v1', '11111111111111111111111111111111', 1800000000.5, '{"level":"bit_exact","run_id":"11111111111111111111111111111111","replay_run_id":"","metrics":[],"first_divergence":null,"last_equal":null,"outs":{},"steps_compared":3,"window":null,"inputs_differ":[],"equal_inputs":false,"substitutes":[],"reason":"","facts":{},"machine":"","at":0.0,"by":"","id":"v1"}');
INSERT INTO public.version_tags VALUES ('55555555555555555555555555555555', 'checked', 'yes');
INSERT INTO public.webhook_deliveries VALUES ('d1', 'w1', 'prompt.created', '{}', 0, NULL, '', false, 1800000000.5, NULL);
INSERT INTO public.webhooks VALUES ('w1', 'ci', 'https://ci.example', '["prompt.created"]', '', 'ACTIVE', 's', '', 1800000000.5, 1800000000.5);
SELECT pg_catalog.setval('public.events_id_seq', 1, true);
SELECT pg_catalog.setval('public.jobs_seq_seq', 1, true);
SELECT pg_catalog.setval('public.metric_chunks_id_seq', 1, true);
SELECT pg_catalog.setval('public.metric_series_id_seq', 3, true);
ALTER TABLE ONLY public.aliases
    ADD CONSTRAINT aliases_pkey PRIMARY KEY (model, alias);
ALTER TABLE ONLY public.artifacts
    ADD CONSTRAINT artifacts_pkey PRIMARY KEY (run_id, path);
ALTER TABLE ONLY public.assessments
    ADD CONSTRAINT assessments_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.blob_pins
    ADD CONSTRAINT blob_pins_pkey PRIMARY KEY (digest);
ALTER TABLE ONLY public.counters
    ADD CONSTRAINT counters_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.dataset_reads
    ADD CONSTRAINT dataset_reads_pkey PRIMARY KEY (dataset_id, number, run_id, path);
ALTER TABLE ONLY public.dataset_versions
    ADD CONSTRAINT dataset_versions_dataset_id_number_key UNIQUE (dataset_id, number);
ALTER TABLE ONLY public.dataset_versions
    ADD CONSTRAINT dataset_versions_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.datasets
    ADD CONSTRAINT datasets_name_key UNIQUE (name);
ALTER TABLE ONLY public.datasets
    ADD CONSTRAINT datasets_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.deliveries
    ADD CONSTRAINT deliveries_pkey PRIMARY KEY (forge, delivery_id);
ALTER TABLE ONLY public.endpoints
    ADD CONSTRAINT endpoints_name_key UNIQUE (name);
ALTER TABLE ONLY public.endpoints
    ADD CONSTRAINT endpoints_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.environments
    ADD CONSTRAINT environments_pkey PRIMARY KEY (key);
ALTER TABLE ONLY public.evaluation_datasets
    ADD CONSTRAINT evaluation_datasets_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.evaluation_experiments
    ADD CONSTRAINT evaluation_experiments_pkey PRIMARY KEY (dataset_id, experiment_id);
ALTER TABLE ONLY public.evaluation_records
    ADD CONSTRAINT evaluation_records_dataset_id_input_digest_key UNIQUE (dataset_id, input_digest);
ALTER TABLE ONLY public.evaluation_records
    ADD CONSTRAINT evaluation_records_dataset_id_number_key UNIQUE (dataset_id, number);
ALTER TABLE ONLY public.evaluation_records
    ADD CONSTRAINT evaluation_records_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.evaluation_tags
    ADD CONSTRAINT evaluation_tags_pkey PRIMARY KEY (dataset_id, key);
ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.experiment_tags
    ADD CONSTRAINT experiment_tags_pkey PRIMARY KEY (experiment_id, key);
ALTER TABLE ONLY public.experiments
    ADD CONSTRAINT experiments_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.experiments
    ADD CONSTRAINT experiments_project_id_name_key UNIQUE (project_id, name);
ALTER TABLE ONLY public.inputs
    ADD CONSTRAINT inputs_pkey PRIMARY KEY (run_id, path, manifest);
ALTER TABLE ONLY public.issues
    ADD CONSTRAINT issues_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT jobs_id_key UNIQUE (id);
ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT jobs_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT jobs_unique_key_key UNIQUE (unique_key);
ALTER TABLE ONLY public.label_schemas
    ADD CONSTRAINT label_schemas_experiment_id_name_key UNIQUE (experiment_id, name);
ALTER TABLE ONLY public.label_schemas
    ADD CONSTRAINT label_schemas_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.locks
    ADD CONSTRAINT locks_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.log_chunks
    ADD CONSTRAINT log_chunks_pkey PRIMARY KEY (run_id, start);
ALTER TABLE ONLY public.logged_datasets
    ADD CONSTRAINT logged_datasets_experiment_id_name_digest_key UNIQUE (experiment_id, name, digest);
ALTER TABLE ONLY public.logged_datasets
    ADD CONSTRAINT logged_datasets_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.logged_model_metrics
    ADD CONSTRAINT logged_model_metrics_pkey PRIMARY KEY (model_id, key, run_id, step, at, value, is_nan, dataset_name, dataset_digest);
ALTER TABLE ONLY public.logged_model_params
    ADD CONSTRAINT logged_model_params_pkey PRIMARY KEY (model_id, key);
ALTER TABLE ONLY public.logged_model_tags
    ADD CONSTRAINT logged_model_tags_pkey PRIMARY KEY (model_id, key);
ALTER TABLE ONLY public.logged_models
    ADD CONSTRAINT logged_models_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.meta
    ADD CONSTRAINT meta_pkey PRIMARY KEY (key);
ALTER TABLE ONLY public.metric_batches
    ADD CONSTRAINT metric_batches_pkey PRIMARY KEY (run_id, batch);
ALTER TABLE ONLY public.metric_chunks
    ADD CONSTRAINT metric_chunks_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.metric_points
    ADD CONSTRAINT metric_points_pkey PRIMARY KEY (series_id, step, at, value, is_nan);
ALTER TABLE ONLY public.metric_series
    ADD CONSTRAINT metric_series_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.metric_series
    ADD CONSTRAINT metric_series_run_id_key_key UNIQUE (run_id, key);
ALTER TABLE ONLY public.metric_tails
    ADD CONSTRAINT metric_tails_pkey PRIMARY KEY (run_id);
ALTER TABLE ONLY public.model_tags
    ADD CONSTRAINT model_tags_pkey PRIMARY KEY (model_id, key);
ALTER TABLE ONLY public.model_versions
    ADD CONSTRAINT model_versions_model_id_version_key UNIQUE (model_id, version);
ALTER TABLE ONLY public.model_versions
    ADD CONSTRAINT model_versions_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.model_versions
    ADD CONSTRAINT model_versions_stage_id_key UNIQUE (stage_id);
ALTER TABLE ONLY public.models
    ADD CONSTRAINT models_name_key UNIQUE (name);
ALTER TABLE ONLY public.models
    ADD CONSTRAINT models_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.params
    ADD CONSTRAINT params_pkey PRIMARY KEY (run_id, key);
ALTER TABLE ONLY public.pipelines
    ADD CONSTRAINT pipelines_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.pipelines
    ADD CONSTRAINT pipelines_project_id_number_key UNIQUE (project_id, number);
ALTER TABLE ONLY public.pools
    ADD CONSTRAINT pools_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.projects
    ADD CONSTRAINT projects_name_key UNIQUE (name);
ALTER TABLE ONLY public.projects
    ADD CONSTRAINT projects_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.refs
    ADD CONSTRAINT refs_pkey PRIMARY KEY (project_id, ref);
ALTER TABLE ONLY public.review_items
    ADD CONSTRAINT review_items_pkey PRIMARY KEY (queue_id, trace_id);
ALTER TABLE ONLY public.review_queues
    ADD CONSTRAINT review_queues_experiment_id_folded_name_key UNIQUE (experiment_id, folded_name);
ALTER TABLE ONLY public.review_queues
    ADD CONSTRAINT review_queues_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.review_users
    ADD CONSTRAINT review_users_pkey PRIMARY KEY (queue_id, user_name);
ALTER TABLE ONLY public.revisions
    ADD CONSTRAINT revisions_endpoint_id_number_key UNIQUE (endpoint_id, number);
ALTER TABLE ONLY public.revisions
    ADD CONSTRAINT revisions_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.revisions
    ADD CONSTRAINT revisions_stage_id_key UNIQUE (stage_id);
ALTER TABLE ONLY public.run_datasets
    ADD CONSTRAINT run_datasets_pkey PRIMARY KEY (run_id, dataset_id);
ALTER TABLE ONLY public.run_models
    ADD CONSTRAINT run_models_pkey PRIMARY KEY (run_id, model_id, role);
ALTER TABLE ONLY public.run_traces
    ADD CONSTRAINT run_traces_pkey PRIMARY KEY (run_id, trace_id);
ALTER TABLE ONLY public.run_words
    ADD CONSTRAINT run_words_pkey PRIMARY KEY (word, run_id);
ALTER TABLE ONLY public.runs
    ADD CONSTRAINT runs_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.saved_views
    ADD CONSTRAINT saved_views_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.saved_views
    ADD CONSTRAINT saved_views_project_id_name_key UNIQUE (project_id, name);
ALTER TABLE ONLY public.schema_version
    ADD CONSTRAINT schema_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.scorer_versions
    ADD CONSTRAINT scorer_versions_pkey PRIMARY KEY (scorer_id, version);
ALTER TABLE ONLY public.scorers
    ADD CONSTRAINT scorers_experiment_id_name_key UNIQUE (experiment_id, name);
ALTER TABLE ONLY public.scorers
    ADD CONSTRAINT scorers_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.spans
    ADD CONSTRAINT spans_pkey PRIMARY KEY (trace_id, id);
ALTER TABLE ONLY public.stage_cache
    ADD CONSTRAINT stage_cache_pkey PRIMARY KEY (project_id, cache_key, scope);
ALTER TABLE ONLY public.stages
    ADD CONSTRAINT stages_pipeline_id_key_key UNIQUE (pipeline_id, key);
ALTER TABLE ONLY public.stages
    ADD CONSTRAINT stages_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.stored_files
    ADD CONSTRAINT stored_files_pkey PRIMARY KEY (path);
ALTER TABLE ONLY public.tags
    ADD CONSTRAINT tags_pkey PRIMARY KEY (run_id, key);
ALTER TABLE ONLY public.tokens
    ADD CONSTRAINT tokens_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.trace_metadata
    ADD CONSTRAINT trace_metadata_pkey PRIMARY KEY (trace_id, key);
ALTER TABLE ONLY public.trace_numbers
    ADD CONSTRAINT trace_numbers_pkey PRIMARY KEY (trace_id, key);
ALTER TABLE ONLY public.trace_prompts
    ADD CONSTRAINT trace_prompts_pkey PRIMARY KEY (prompt, trace_id);
ALTER TABLE ONLY public.trace_tags
    ADD CONSTRAINT trace_tags_pkey PRIMARY KEY (trace_id, key);
ALTER TABLE ONLY public.traces
    ADD CONSTRAINT traces_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_name_key UNIQUE (name);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.verdicts
    ADD CONSTRAINT verdicts_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.version_tags
    ADD CONSTRAINT version_tags_pkey PRIMARY KEY (version_id, key);
ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.webhooks
    ADD CONSTRAINT webhooks_pkey PRIMARY KEY (id);
CREATE INDEX assessments_issue ON public.assessments USING btree (name, trace_id) WHERE ((kind = 'issue'::text) AND (length(name) <= 64));
CREATE INDEX assessments_trace_id ON public.assessments USING btree (trace_id);
CREATE INDEX dataset_reads_run_id ON public.dataset_reads USING btree (run_id);
CREATE INDEX dataset_versions_digest ON public.dataset_versions USING btree (digest);
CREATE INDEX dataset_versions_source_run_id ON public.dataset_versions USING btree (source_run_id);
CREATE INDEX datasets_project_id ON public.datasets USING btree (project_id);
CREATE INDEX endpoints_project_id_name ON public.endpoints USING btree (project_id, name);
CREATE INDEX evaluation_datasets_created_at_id ON public.evaluation_datasets USING btree (created_at, id);
CREATE INDEX evaluation_datasets_project_id ON public.evaluation_datasets USING btree (project_id);
CREATE INDEX evaluation_experiments_experiment_id ON public.evaluation_experiments USING btree (experiment_id);
CREATE INDEX events_kind_id ON public.events USING btree (kind, id);
CREATE INDEX events_project_id ON public.events USING btree (project, id);
CREATE INDEX events_subject_id ON public.events USING btree (subject, id);
CREATE INDEX experiments_created_at_id ON public.experiments USING btree (created_at, id);
CREATE INDEX experiments_name_created_at ON public.experiments USING btree (name, created_at);
CREATE INDEX inputs_source_run_id ON public.inputs USING btree (source_run_id);
CREATE INDEX issues_experiment_id ON public.issues USING btree (experiment_id);
CREATE INDEX issues_source_run_id ON public.issues USING btree (source_run_id);
CREATE INDEX jobs_claimable ON public.jobs USING btree (priority DESC, seq, claimable_at, pool, kind) WHERE (claimable_at IS NOT NULL);
CREATE INDEX jobs_state_seq ON public.jobs USING btree (state, seq);
CREATE INDEX jobs_subject_seq ON public.jobs USING btree (subject, seq);
CREATE INDEX logged_model_metrics_run_id ON public.logged_model_metrics USING btree (run_id);
CREATE INDEX logged_models_experiment_id_created_at_id ON public.logged_models USING btree (experiment_id, created_at, id);
CREATE INDEX logged_models_source_run_id ON public.logged_models USING btree (source_run_id);
CREATE UNIQUE INDEX metric_chunks_place ON public.metric_chunks USING btree (series_id, first_step, first_at, first_is_number, first_value);
CREATE INDEX metric_series_key_last_run_id ON public.metric_series USING btree (key, last, run_id);
CREATE INDEX model_versions_run_id ON public.model_versions USING btree (run_id);
CREATE INDEX models_project_id_name ON public.models USING btree (project_id, name);
CREATE INDEX params_key_shown ON public.params USING btree (key, substr(
CASE
    WHEN (substr(value, 1, 1) <> '"'::text) THEN value
    WHEN (strpos(value, '\'::text) = 0) THEN substr(value, 2, (length(value) - 2))
    ELSE (((replace(value, '\u0000'::text, '\u0001'::text))::jsonb #>> '{}'::text[]) COLLATE "C")
END, 1, 200), run_id);
CREATE INDEX pipelines_commit_created_at_id ON public.pipelines USING btree (commit, created_at, id);
CREATE INDEX pipelines_created_at_id ON public.pipelines USING btree (created_at, id);
CREATE INDEX pipelines_project_id_created_at_id ON public.pipelines USING btree (project_id, created_at, id);
CREATE INDEX pipelines_status_created_at_id ON public.pipelines USING btree (status, created_at, id);
CREATE INDEX review_items_trace_id ON public.review_items USING btree (trace_id);
CREATE INDEX review_users_user_name ON public.review_users USING btree (user_name);
CREATE INDEX revisions_state ON public.revisions USING btree (state);
CREATE INDEX run_datasets_dataset_id ON public.run_datasets USING btree (dataset_id);
CREATE INDEX run_models_model_id ON public.run_models USING btree (model_id);
CREATE INDEX run_traces_trace_id ON public.run_traces USING btree (trace_id);
CREATE INDEX run_words_run_id ON public.run_words USING btree (run_id);
CREATE INDEX runs_begun ON public.runs USING btree (COALESCE(started_at, created_at) DESC, id, experiment_id);
CREATE INDEX runs_created_at_id ON public.runs USING btree (created_at, id);
CREATE INDEX runs_experiment_id_begun ON public.runs USING btree (experiment_id, COALESCE(started_at, created_at) DESC, id);
CREATE INDEX runs_experiment_id_created_at_id ON public.runs USING btree (experiment_id, created_at, id);
CREATE INDEX runs_kind_created_at_id ON public.runs USING btree (kind, created_at, id);
CREATE INDEX runs_pipeline_id_created_at_id ON public.runs USING btree (pipeline_id, created_at, id);
CREATE INDEX runs_project_id_created_at_id ON public.runs USING btree (project_id, created_at, id);
CREATE INDEX runs_project_id_ended_at_created_at_id ON public.runs USING btree (project_id, ended_at, created_at, id);
CREATE INDEX runs_project_id_name_created_at_id ON public.runs USING btree (project_id, name, created_at, id);
CREATE INDEX runs_project_id_started_at_created_at_id ON public.runs USING btree (project_id, started_at, created_at, id);
CREATE INDEX runs_project_id_status_created_at_id ON public.runs USING btree (project_id, status, created_at, id);
CREATE INDEX runs_replay_of_created_at_id ON public.runs USING btree (replay_of, created_at, id);
CREATE INDEX runs_stage_id_created_at_id ON public.runs USING btree (stage_id, created_at, id);
CREATE INDEX runs_status_created_at_id ON public.runs USING btree (status, created_at, id);
CREATE INDEX stages_run_id ON public.stages USING btree (run_id);
CREATE INDEX tags_key_begin ON public.tags USING btree (key, substr(value, 1, 200), run_id);
CREATE INDEX tokens_subject_created_at ON public.tokens USING btree (subject, created_at);
CREATE INDEX trace_metadata_key_begin ON public.trace_metadata USING btree (key, substr(value, 1, 200), trace_id);
CREATE INDEX trace_prompts_trace_id ON public.trace_prompts USING btree (trace_id);
CREATE INDEX trace_tags_key_begin ON public.trace_tags USING btree (key, substr(value, 1, 200), trace_id);
CREATE INDEX traces_experiment_id_newest ON public.traces USING btree (experiment_id, started_ms DESC, id);
CREATE INDEX verdicts_run_id_at_id ON public.verdicts USING btree (run_id, at, id);
CREATE INDEX webhook_deliveries_webhook_id_created_at_id ON public.webhook_deliveries USING btree (webhook_id, created_at, id);
CREATE INDEX webhooks_created_at_id ON public.webhooks USING btree (created_at, id);
ALTER TABLE ONLY public.aliases
    ADD CONSTRAINT aliases_model_fkey FOREIGN KEY (model) REFERENCES public.models(name);
ALTER TABLE ONLY public.assessments
    ADD CONSTRAINT assessments_trace_id_fkey FOREIGN KEY (trace_id) REFERENCES public.traces(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.dataset_reads
    ADD CONSTRAINT dataset_reads_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES public.datasets(id);
ALTER TABLE ONLY public.dataset_reads
    ADD CONSTRAINT dataset_reads_run_id_fkey FOREIGN KEY (run_id) REFERENCES public.runs(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.dataset_versions
    ADD CONSTRAINT dataset_versions_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES public.datasets(id);
ALTER TABLE ONLY public.datasets
    ADD CONSTRAINT datasets_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.projects(id);
ALTER TABLE ONLY public.endpoints
    ADD CONSTRAINT endpoints_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.projects(id);
ALTER TABLE ONLY public.evaluation_datasets
    ADD CONSTRAINT evaluation_datasets_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.projects(id);
ALTER TABLE ONLY public.evaluation_experiments
    ADD CONSTRAINT evaluation_experiments_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES public.evaluation_datasets(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.evaluation_experiments
    ADD CONSTRAINT evaluation_experiments_experiment_id_fkey FOREIGN KEY (experiment_id) REFERENCES public.experiments(id);
ALTER TABLE ONLY public.evaluation_records
    ADD CONSTRAINT evaluation_records_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES public.evaluation_datasets(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.evaluation_tags
    ADD CONSTRAINT evaluation_tags_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES public.evaluation_datasets(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.experiments
    ADD CONSTRAINT experiments_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.projects(id);
ALTER TABLE ONLY public.issues
    ADD CONSTRAINT issues_experiment_id_fkey FOREIGN KEY (experiment_id) REFERENCES public.experiments(id);
ALTER TABLE ONLY public.issues
    ADD CONSTRAINT issues_source_run_id_fkey FOREIGN KEY (source_run_id) REFERENCES public.runs(id) ON DELETE SET NULL;
ALTER TABLE ONLY public.label_schemas
    ADD CONSTRAINT label_schemas_experiment_id_fkey FOREIGN KEY (experiment_id) REFERENCES public.experiments(id);
ALTER TABLE ONLY public.logged_datasets
    ADD CONSTRAINT logged_datasets_experiment_id_fkey FOREIGN KEY (experiment_id) REFERENCES public.experiments(id);
ALTER TABLE ONLY public.logged_model_metrics
    ADD CONSTRAINT logged_model_metrics_model_id_fkey FOREIGN KEY (model_id) REFERENCES public.logged_models(id);
ALTER TABLE ONLY public.logged_model_params
    ADD CONSTRAINT logged_model_params_model_id_fkey FOREIGN KEY (model_id) REFERENCES public.logged_models(id);
ALTER TABLE ONLY public.logged_model_tags
    ADD CONSTRAINT logged_model_tags_model_id_fkey FOREIGN KEY (model_id) REFERENCES public.logged_models(id);
ALTER TABLE ONLY public.logged_models
    ADD CONSTRAINT logged_models_experiment_id_fkey FOREIGN KEY (experiment_id) REFERENCES public.experiments(id);
ALTER TABLE ONLY public.metric_series
    ADD CONSTRAINT metric_series_run_id_fkey FOREIGN KEY (run_id) REFERENCES public.runs(id);
ALTER TABLE ONLY public.model_tags
    ADD CONSTRAINT model_tags_model_id_fkey FOREIGN KEY (model_id) REFERENCES public.models(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.model_versions
    ADD CONSTRAINT model_versions_model_id_fkey FOREIGN KEY (model_id) REFERENCES public.models(id);
ALTER TABLE ONLY public.models
    ADD CONSTRAINT models_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.projects(id);
ALTER TABLE ONLY public.pipelines
    ADD CONSTRAINT pipelines_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.projects(id);
ALTER TABLE ONLY public.review_items
    ADD CONSTRAINT review_items_queue_id_fkey FOREIGN KEY (queue_id) REFERENCES public.review_queues(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.review_items
    ADD CONSTRAINT review_items_trace_id_fkey FOREIGN KEY (trace_id) REFERENCES public.traces(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.review_queues
    ADD CONSTRAINT review_queues_experiment_id_fkey FOREIGN KEY (experiment_id) REFERENCES public.experiments(id);
ALTER TABLE ONLY public.review_users
    ADD CONSTRAINT review_users_queue_id_fkey FOREIGN KEY (queue_id) REFERENCES public.review_queues(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.revisions
    ADD CONSTRAINT revisions_endpoint_id_fkey FOREIGN KEY (endpoint_id) REFERENCES public.endpoints(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.revisions
    ADD CONSTRAINT revisions_version_id_fkey FOREIGN KEY (version_id) REFERENCES public.model_versions(id);
ALTER TABLE ONLY public.run_datasets
    ADD CONSTRAINT run_datasets_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES public.logged_datasets(id);
ALTER TABLE ONLY public.run_datasets
    ADD CONSTRAINT run_datasets_run_id_fkey FOREIGN KEY (run_id) REFERENCES public.runs(id);
ALTER TABLE ONLY public.run_models
    ADD CONSTRAINT run_models_run_id_fkey FOREIGN KEY (run_id) REFERENCES public.runs(id);
ALTER TABLE ONLY public.run_traces
    ADD CONSTRAINT run_traces_run_id_fkey FOREIGN KEY (run_id) REFERENCES public.runs(id);
ALTER TABLE ONLY public.run_traces
    ADD CONSTRAINT run_traces_trace_id_fkey FOREIGN KEY (trace_id) REFERENCES public.traces(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.run_words
    ADD CONSTRAINT run_words_run_id_fkey FOREIGN KEY (run_id) REFERENCES public.runs(id);
ALTER TABLE ONLY public.runs
    ADD CONSTRAINT runs_experiment_id_fkey FOREIGN KEY (experiment_id) REFERENCES public.experiments(id);
ALTER TABLE ONLY public.runs
    ADD CONSTRAINT runs_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.projects(id);
ALTER TABLE ONLY public.scorer_versions
    ADD CONSTRAINT scorer_versions_scorer_id_fkey FOREIGN KEY (scorer_id) REFERENCES public.scorers(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.scorers
    ADD CONSTRAINT scorers_experiment_id_fkey FOREIGN KEY (experiment_id) REFERENCES public.experiments(id);
ALTER TABLE ONLY public.spans
    ADD CONSTRAINT spans_trace_id_fkey FOREIGN KEY (trace_id) REFERENCES public.traces(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.stages
    ADD CONSTRAINT stages_pipeline_id_fkey FOREIGN KEY (pipeline_id) REFERENCES public.pipelines(id);
ALTER TABLE ONLY public.trace_metadata
    ADD CONSTRAINT trace_metadata_trace_id_fkey FOREIGN KEY (trace_id) REFERENCES public.traces(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.trace_numbers
    ADD CONSTRAINT trace_numbers_trace_id_fkey FOREIGN KEY (trace_id) REFERENCES public.traces(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.trace_prompts
    ADD CONSTRAINT trace_prompts_trace_id_fkey FOREIGN KEY (trace_id) REFERENCES public.traces(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.trace_tags
    ADD CONSTRAINT trace_tags_trace_id_fkey FOREIGN KEY (trace_id) REFERENCES public.traces(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.traces
    ADD CONSTRAINT traces_experiment_id_fkey FOREIGN KEY (experiment_id) REFERENCES public.experiments(id);
ALTER TABLE ONLY public.verdicts
    ADD CONSTRAINT verdicts_run_id_fkey FOREIGN KEY (run_id) REFERENCES public.runs(id);
ALTER TABLE ONLY public.version_tags
    ADD CONSTRAINT version_tags_version_id_fkey FOREIGN KEY (version_id) REFERENCES public.model_versions(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_webhook_id_fkey FOREIGN KEY (webhook_id) REFERENCES public.webhooks(id) ON DELETE CASCADE;
