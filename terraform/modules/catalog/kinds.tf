# What each kind's events hold. The built-in kinds as they are declared in crates/contract/kinds/; a test holds the two
# against each other.

locals {
  built_in = {
    vehicle = {
      entity_field  = "vehicle_id"
      time_field    = "timestamp"
      signals_field = "payload"
      fields = [
        { name = "can_id", type = "string" },
      ]
      signals = [
        { name = "engine_rpm", type = "number", unit = "rpm" },
        { name = "vehicle_speed_kmh", type = "number", unit = "km/h" },
        { name = "gear", type = "integer", unit = null },
        { name = "throttle_pct", type = "number", unit = "%" },
        { name = "accelerator_pedal_pct", type = "number", unit = "%" },
        { name = "brake_status", type = "boolean", unit = null },
        { name = "coolant_temp_c", type = "number", unit = "Cel" },
        { name = "intake_air_temp_c", type = "number", unit = "Cel" },
        { name = "ambient_temp_c", type = "number", unit = "Cel" },
        { name = "intake_pressure_kpa", type = "number", unit = "kPa" },
        { name = "air_flow_gps", type = "number", unit = "g/s" },
        { name = "fuel_level_pct", type = "number", unit = "%" },
      ]
    }
    cell = {
      entity_field  = "entity_id"
      time_field    = "event_time"
      signals_field = "metrics"
      fields = [
        { name = "schema_version", type = "integer" },
        { name = "source", type = "string" },
        { name = "entity_type", type = "string" },
      ]
      signals = [
        { name = "dl_prb_util_pct", type = "number", unit = "%" },
        { name = "ul_prb_util_pct", type = "number", unit = "%" },
        { name = "rrc_conn_avg", type = "number", unit = "1" },
        { name = "drop_rate_pct", type = "number", unit = "%" },
        { name = "rsrp_dbm", type = "number", unit = "dBm" },
        { name = "rsrq_db", type = "number", unit = "dB" },
        { name = "snr_db", type = "number", unit = "dB" },
        { name = "cqi", type = "number", unit = "1" },
        { name = "dl_bitrate_kbps", type = "number", unit = "kbit/s" },
        { name = "ul_bitrate_kbps", type = "number", unit = "kbit/s" },
        { name = "network_mode", type = "string", unit = null },
      ]
    }
    # A long kind: its signals are rows, named in a column.
    metric = {
      entity_field  = "entity"
      time_field    = "timestamp"
      signals_field = null
      fields = [
        { name = "name", type = "string" },
        { name = "tags", type = "labels" },
        { name = "value", type = "number" },
      ]
      signals = []
    }
    metric_info = {
      entity_field  = "name"
      time_field    = "timestamp"
      signals_field = "info"
      fields        = []
      signals = [
        { name = "type", type = "string", unit = null },
        { name = "unit", type = "string", unit = null },
        { name = "description", type = "string", unit = null },
      ]
    }
    chat = {
      entity_field  = "stream_id"
      time_field    = "timestamp"
      signals_field = "message"
      fields = [
        { name = "message_id", type = "string" },
        { name = "user", type = "string" },
      ]
      signals = [
        { name = "text", type = "string", unit = null },
        { name = "emotes", type = "string", unit = null },
        { name = "bits", type = "integer", unit = "1" },
        # Derived: in the files, and in no event.
        { name = "sentiment", type = "number", unit = null },
      ]
    }
    viewer = {
      entity_field  = "stream_id"
      time_field    = "timestamp"
      signals_field = "audience"
      fields        = []
      signals = [
        { name = "viewers", type = "integer", unit = "1" },
        { name = "chatters", type = "integer", unit = "1" },
        { name = "followers", type = "integer", unit = "1" },
        { name = "raiders", type = "integer", unit = "1" },
      ]
    }
    transaction = {
      entity_field  = "stream_id"
      time_field    = "timestamp"
      signals_field = "payment"
      fields = [
        { name = "transaction_id", type = "string" },
        { name = "type", type = "string" },
        { name = "currency", type = "string" },
        { name = "user", type = "string" },
      ]
      signals = [
        { name = "amount", type = "number", unit = null },
        { name = "quantity", type = "integer", unit = "1" },
      ]
    }
    stream_meta = {
      entity_field  = "stream_id"
      time_field    = "timestamp"
      signals_field = "status"
      fields = [
        { name = "title", type = "string" },
        { name = "category", type = "string" },
        { name = "language", type = "string" },
        { name = "channel", type = "string" },
      ]
      signals = [
        { name = "live", type = "boolean", unit = null },
        { name = "bitrate_kbps", type = "number", unit = "kbit/s" },
        { name = "fps", type = "number", unit = "Hz" },
        { name = "delay_s", type = "number", unit = "s" },
      ]
    }
  }

  kinds = merge(local.built_in, var.kinds)

  # A declaration's types, as Glue names them.
  glue_types = { number = "double", integer = "bigint", boolean = "boolean", string = "string", labels = "string" }

  # Labels are an object in raw/, and its text in curated/.
  raw_types = merge(local.glue_types, { labels = "map<string,string>" })

  # Whole numbers among signals are doubles in the files.
  signal_types = merge(local.glue_types, { integer = "double" })

  # In the order of the Parquet files: the server's columns, the kind's fields, the signals. Athena goes by name.
  curated_columns = {
    for name, kind in local.kinds : name => concat(
      [
        { name = "event_id", type = "string", comment = "Unique within kind and event hour." },
        { name = "entity_id", type = "string", comment = "What the event is about: ${kind.entity_field}." },
        { name = "event_time", type = "timestamp", comment = "When it happened, UTC: ${kind.time_field}." },
        { name = "ingest_received_at", type = "timestamp", comment = "When ingest had it, UTC." },
        { name = "sender", type = "string", comment = "Name of the key that it was sent with." },
      ],
      [for field in kind.fields : { name = field.name, type = local.glue_types[field.type], comment = null }],
      [for signal in kind.signals : { name = signal.name, type = local.signal_types[signal.type], comment = signal.unit }],
      # Athena takes a name with an underscore in front: in backticks in DDL, in double quotes in queries.
      [{ name = "_more", type = "string", comment = "JSON: undeclared signals past the kind's bound." }],
      [for signal in lookup(var.undeclared_signals, name, []) : { name = signal.name, type = local.signal_types[signal.type], comment = null }],
    )
  }

  # Every kind's own fields side by side; those of other kinds are null in a row.
  raw_fields = flatten([
    for kind in values(local.kinds) : concat(
      [{ name = kind.entity_field, type = "string" }, { name = kind.time_field, type = "string" }],
      [for field in kind.fields : { name = field.name, type = local.raw_types[field.type] }],
      [for field in compact([kind.signals_field]) : { name = field, type = "map<string,string>" }],
    )
  ])

  raw_columns = concat(
    [
      { name = "kind", type = "string", comment = "Which declaration the event follows." },
      { name = "event_id", type = "string", comment = "Unique within kind and event hour." },
      { name = "ingest_received_at", type = "string", comment = "When ingest had it, RFC 3339." },
      { name = "sender", type = "string", comment = "Name of the key that it was sent with." },
    ],
    [for field in distinct(local.raw_fields) : { name = field.name, type = field.type, comment = null }],
  )

  aggregate_columns = [
    { name = "kind", type = "string", comment = null },
    { name = "entity_id", type = "string", comment = null },
    { name = "event_hour", type = "string", comment = "The hour's first instant, RFC 3339." },
    { name = "signal", type = "string", comment = null },
    { name = "unit", type = "string", comment = null },
    { name = "messages", type = "bigint", comment = "Events of the entity in the hour." },
    { name = "count", type = "bigint", comment = "Values of the signal." },
    { name = "min", type = "double", comment = null },
    { name = "max", type = "double", comment = null },
    { name = "mean", type = "double", comment = null },
    { name = "stddev", type = "double", comment = "Of the sample; null for one value." },
    { name = "p50", type = "double", comment = null },
    { name = "p95", type = "double", comment = null },
    { name = "p99", type = "double", comment = null },
  ]
}
