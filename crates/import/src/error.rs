//! What can go wrong with a file or its mapping.

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use parquet::errors::ParquetError;

/// A file that cannot be brought in, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be opened or read.
    #[error("cannot read `{path}`")]
    Read {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not what its name or `--format` says.
    #[error("cannot read `{path}`: {message}")]
    Content {
        /// The file.
        path: String,
        /// What is wrong, and what to do.
        message: String,
    },
    /// The Parquet reader refused the file.
    #[error("cannot read `{path}` as Parquet")]
    Parquet {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: ParquetError,
    },
    /// The SQL does not fit the file or the kind.
    #[error("`{path}`: {message}")]
    Mapping {
        /// The file that was to be read.
        path: String,
        /// What is wrong with the SQL, with its place where that is known.
        message: String,
    },
    /// The SQL failed on a row.
    #[error("`{path}`: the SQL failed among the rows up to {row}: {message}")]
    Row {
        /// The file that was read.
        path: String,
        /// Rows that had been read when it failed: the failing one is among the last of them.
        row: u64,
        /// What failed.
        message: String,
    },
}

impl From<ImportError> for DataFusionError {
    fn from(error: ImportError) -> DataFusionError {
        DataFusionError::External(Box::new(error))
    }
}

/// The import's own error inside one of DataFusion's, if there is one.
pub(crate) fn own(error: &DataFusionError) -> Option<String> {
    match error.find_root() {
        DataFusionError::External(inner) => inner
            .downcast_ref::<ImportError>()
            .map(|own| service::errors::chain(own)),
        _ => None,
    }
}

/// The words of an error of DataFusion without what only its developers need.
pub(crate) fn words(error: &DataFusionError) -> String {
    if let Some(own) = own(error) {
        return own;
    }
    let root = error.find_root();
    let text = match root {
        DataFusionError::ArrowError(inner, _) => match inner.as_ref() {
            ArrowError::CastError(message) | ArrowError::ParseError(message) => message.clone(),
            other => other.to_string(),
        },
        DataFusionError::SQL(inner, _) => inner.to_string(),
        other => other.message().into_owned(),
    };
    let text = text.split("\n\nbacktrace:").next().unwrap_or_default();
    service::terminal::printable(text.trim())
}
