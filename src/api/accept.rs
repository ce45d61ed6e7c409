//! The forms of answers.

/// The media type a backend is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// `application/json`.
    Json,
    /// `application/x-ndjson`: JSON, one object a line.
    JsonLines,
    /// `text/plain`: Prometheus' text format.
    Text,
    /// `application/protobuf`.
    Protobuf,
    /// `application/x-protobuf`: remote read's samples, compressed with snappy.
    ReadSamples,
    /// `application/x-streamed-protobuf`: remote read's chunks, in frames.
    ReadChunks,
}

impl Accept {
    /// As the header writes it.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::JsonLines => "application/x-ndjson",
            Self::Text => "text/plain",
            Self::Protobuf => "application/protobuf",
            Self::ReadSamples => "application/x-protobuf",
            Self::ReadChunks => "application/x-streamed-protobuf",
        }
    }
}
