//! A statement: one that reads, and nothing else.

use std::collections::VecDeque;

use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{Query, SetExpr, Statement as Ast};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::error::{SqlError, TOO_DEEP};

/// Longest text of a statement, in bytes: what people and their tools write is shorter by far.
const MAX_BYTES: usize = 64 * 1024;

/// Most operators of a statement. An expression of so many is as deep as a thread's stack of 2 MiB can take with room
/// to spare; lists of values, which do not nest, are not counted.
const MAX_OPERATORS: usize = 200;

/// Stack to read a text on. The parser bounds its recursion, and where it is built without optimisation so many frames
/// take more than the 2 MiB of a thread of the runtime.
const STACK: usize = 8 << 20;

/// Words that join two parts into one, as operators do, or stand before a whole statement: DataFusion's parser bounds
/// neither itself nor its stack for `EXPLAIN EXPLAIN …`.
const NESTING: [Keyword; 12] = [
    Keyword::AND,
    Keyword::OR,
    Keyword::NOT,
    Keyword::UNION,
    Keyword::INTERSECT,
    Keyword::EXCEPT,
    Keyword::JOIN,
    Keyword::IS,
    Keyword::LIKE,
    Keyword::BETWEEN,
    Keyword::EXPLAIN,
    Keyword::DESCRIBE,
];

/// The statements of a text, which PostgreSQL's dialect is read in.
///
/// # Errors
///
/// If it is too long, or no SQL.
pub fn parse(text: &str) -> Result<VecDeque<Statement>, SqlError> {
    check_size(text)?;
    stacker::maybe_grow(STACK, STACK, || {
        let mut parser = DFParserBuilder::new(text)
            .with_dialect(&PostgreSqlDialect {})
            .build()?;
        Ok(parser.parse_statements()?)
    })
}

/// The same as PostgreSQL has them: without DataFusion's own statements.
pub(crate) fn parse_postgres(text: &str) -> Result<Vec<Ast>, SqlError> {
    check_size(text)?;
    let parse = || Parser::parse_sql(&PostgreSqlDialect {}, text);
    Ok(stacker::maybe_grow(STACK, STACK, parse)?)
}

/// Refuses what is too long, or would nest too deeply once it is read: `1+1+1…` is a tree as deep as it is long, and
/// the parser bounds parentheses alone.
fn check_size(text: &str) -> Result<(), SqlError> {
    if text.len() > MAX_BYTES {
        let message = format!(
            "the text has {} bytes, and may have {MAX_BYTES}",
            text.len()
        );
        // program_limit_exceeded
        return Err(SqlError::invalid("54000", message));
    }
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize();
    let tokens = tokens.map_err(ParserError::from)?;
    let nests = |token: &&Token| match token {
        Token::Word(word) => NESTING.contains(&word.keyword),
        Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::EscapedStringLiteral(_)
        | Token::Comma
        | Token::Period
        | Token::SemiColon
        | Token::LParen
        | Token::RParen
        | Token::Whitespace(_)
        | Token::Placeholder(_)
        | Token::EOF => false,
        _ => true,
    };
    let operators = tokens.iter().filter(nests).count();
    if operators > MAX_OPERATORS {
        let message =
            format!("the statement has {operators} operators, and may have {MAX_OPERATORS}");
        return Err(SqlError::invalid(TOO_DEEP, message));
    }
    Ok(())
}

/// The one statement of a text.
///
/// # Errors
///
/// As for [`parse`]; also if there is none, if there are several, or if it would do more than read.
pub fn parse_one(text: &str) -> Result<Statement, SqlError> {
    let mut statements = parse(text)?;
    match (statements.pop_front(), statements.len()) {
        (Some(statement), 0) => {
            check(&statement)?;
            Ok(statement)
        }
        (None, _) => Err(SqlError::invalid(
            "42601",
            "no statement: send one, such as SELECT 1",
        )),
        (Some(_), more) => Err(SqlError::invalid(
            "42601",
            format!("{} statements: send one at a time", more + 1),
        )),
    }
}

/// Whether a statement only reads.
///
/// # Errors
///
/// [`SqlError::ReadOnly`] if it does not.
pub fn check(statement: &Statement) -> Result<(), SqlError> {
    let refused = |what: &str| Err(SqlError::ReadOnly(what.to_owned()));
    match statement {
        Statement::Explain(explain) => check(&explain.statement),
        Statement::Statement(ast) => match ast.as_ref() {
            Ast::Query(query) if writes(query) => refused("a query that writes"),
            Ast::Query(_)
            | Ast::ShowVariable { .. }
            | Ast::ShowTables { .. }
            | Ast::ShowColumns { .. }
            | Ast::ExplainTable { .. } => Ok(()),
            Ast::Explain { statement, .. } => check(&Statement::Statement(statement.clone())),
            other => refused(&first_words(&other.to_string())),
        },
        Statement::CopyTo(_) => refused("COPY TO"),
        Statement::CreateExternalTable(_) => refused("CREATE EXTERNAL TABLE"),
        Statement::Reset(_) => refused("RESET"),
    }
}

/// What DataFusion itself refuses too; here it gets the words.
fn writes(query: &Query) -> bool {
    match query.body.as_ref() {
        SetExpr::Select(select) => select.into.is_some(),
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => true,
        _ => false,
    }
}

fn first_words(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().take(2).collect();
    words.join(" ")
}
