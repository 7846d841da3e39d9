-- What the first landed version made, as SQLAlchemy wrote it then.

CREATE TABLE association_studies (
    association_id VARCHAR(64) NOT NULL,
    study_uid VARCHAR(64) NOT NULL,
    PRIMARY KEY (association_id, study_uid)
);

CREATE INDEX association_studies_by_study ON association_studies (study_uid);

CREATE TABLE associations (
    id VARCHAR(64) NOT NULL,
    calling_ae VARCHAR(16) NOT NULL,
    host VARCHAR(64) NOT NULL,
    opened_at FLOAT(53) NOT NULL,
    closed_at FLOAT(53),
    PRIMARY KEY (id)
);

CREATE TABLE exams (
    id SERIAL NOT NULL,
    study_uid VARCHAR(64) NOT NULL,
    injection INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    state VARCHAR(16) NOT NULL,
    reasons JSON NOT NULL,
    summary JSON NOT NULL,
    replaces INTEGER,
    job VARCHAR(128),
    attempt INTEGER NOT NULL,
    calling_ae VARCHAR(16) NOT NULL,
    created_at FLOAT(53) NOT NULL,
    changed_at FLOAT(53) NOT NULL,
    last_instance_at FLOAT(53) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (study_uid, injection, revision),
    FOREIGN KEY(replaces) REFERENCES exams (id)
);

CREATE INDEX ix_exams_state ON exams (state);

CREATE TABLE instances (
    id SERIAL NOT NULL,
    sop_instance_uid VARCHAR(64) NOT NULL,
    variant INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    sop_class_uid VARCHAR(64) NOT NULL,
    study_uid VARCHAR(64) NOT NULL,
    series_uid VARCHAR(64) NOT NULL,
    transfer_syntax_uid VARCHAR(64) NOT NULL,
    sha256 VARCHAR(64) NOT NULL,
    size_bytes BIGINT NOT NULL,
    path TEXT NOT NULL,
    calling_ae VARCHAR(16) NOT NULL,
    host VARCHAR(64) NOT NULL,
    association_id VARCHAR(64) NOT NULL,
    received_at FLOAT(53) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (sop_instance_uid, variant),
    UNIQUE (sop_instance_uid, sha256)
);

CREATE INDEX ix_instances_study_uid ON instances (study_uid);

CREATE TABLE schema_version (
    version INTEGER NOT NULL,
    PRIMARY KEY (version)
);

CREATE TABLE outputs (
    id SERIAL NOT NULL,
    exam_id INTEGER NOT NULL,
    kind VARCHAR(32) NOT NULL,
    path TEXT NOT NULL,
    sop_class_uid VARCHAR(64) NOT NULL,
    sop_instance_uid VARCHAR(64) NOT NULL,
    sha256 VARCHAR(64) NOT NULL,
    size_bytes BIGINT NOT NULL,
    created_at FLOAT(53) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (exam_id, sop_instance_uid),
    FOREIGN KEY(exam_id) REFERENCES exams (id)
);

CREATE INDEX ix_outputs_exam_id ON outputs (exam_id);

CREATE TABLE deliveries (
    id SERIAL NOT NULL,
    output_id INTEGER NOT NULL,
    exam_id INTEGER NOT NULL,
    destination VARCHAR(64) NOT NULL,
    state VARCHAR(16) NOT NULL,
    attempts INTEGER NOT NULL,
    next_attempt_at FLOAT(53) NOT NULL,
    status INTEGER,
    error TEXT NOT NULL,
    transaction_uid VARCHAR(64),
    changed_at FLOAT(53) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (output_id, destination),
    FOREIGN KEY(output_id) REFERENCES outputs (id),
    FOREIGN KEY(exam_id) REFERENCES exams (id)
);

CREATE INDEX ix_deliveries_exam_id ON deliveries (exam_id);

CREATE INDEX ix_deliveries_state ON deliveries (state);

INSERT INTO schema_version (version) VALUES (1);
