//! Values as MariaDB and MySQL send them, in the binary and the text protocol.

use mysql_async::consts::ColumnType;

use crate::{
    dialect::Bound,
    error::Error,
    value::{Row, Value},
};

/// A bound value.
pub(super) fn bound(v: &Bound<'_>) -> mysql_async::Value {
    match v {
        Bound::Int(v) => mysql_async::Value::Int(*v),
        Bound::Real(v) => mysql_async::Value::Double(*v),
        Bound::Text(v) => mysql_async::Value::Bytes(v.as_bytes().to_vec()),
        Bound::Null | Bound::Ints(_) | Bound::Texts(_) => mysql_async::Value::NULL,
    }
}

/// Reads a row.
pub(super) fn row(statement: &'static str, row: &mysql_async::Row) -> Result<Row, Error> {
    let columns = row.columns_ref();
    let mut out = Vec::with_capacity(columns.len());
    for (i, column) in columns.iter().enumerate() {
        let wrong = |what: &str| Error::Decode(format!("{statement}: column {i}: {what}"));
        out.push(match row.as_ref(i) {
            None | Some(mysql_async::Value::NULL) => Value::Null,
            Some(mysql_async::Value::Int(v)) => Value::Int(*v),
            Some(mysql_async::Value::UInt(v)) => Value::Int(i64::try_from(*v).map_err(|_| wrong("too large a number"))?),
            Some(mysql_async::Value::Float(v)) => Value::Real(f64::from(*v)),
            Some(mysql_async::Value::Double(v)) => Value::Real(*v),
            Some(mysql_async::Value::Bytes(v)) => {
                let text = std::str::from_utf8(v).map_err(|_| wrong("not UTF-8"))?;
                read(column.column_type(), text).ok_or_else(|| wrong("not a number"))?
            }
            Some(_) => return Err(wrong("dates are not in the vocabulary")),
        });
    }
    Ok(Row(out))
}

/// Text of a column; numbers come as text in the text protocol and when they are decimals (sums of integers).
fn read(ty: ColumnType, text: &str) -> Option<Value> {
    use ColumnType as T;
    match ty {
        T::MYSQL_TYPE_LONGLONG | T::MYSQL_TYPE_LONG | T::MYSQL_TYPE_INT24 | T::MYSQL_TYPE_SHORT | T::MYSQL_TYPE_TINY => {
            text.parse().ok().map(Value::Int)
        }
        T::MYSQL_TYPE_NEWDECIMAL | T::MYSQL_TYPE_DECIMAL => text.parse().map(Value::Int).or_else(|_| text.parse().map(Value::Real)).ok(),
        T::MYSQL_TYPE_DOUBLE | T::MYSQL_TYPE_FLOAT => text.parse().ok().map(Value::Real),
        _ => Some(Value::Text(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_integers() {
        assert_eq!(read(ColumnType::MYSQL_TYPE_NEWDECIMAL, "-12"), Some(Value::Int(-12)));
        assert_eq!(read(ColumnType::MYSQL_TYPE_NEWDECIMAL, "1.5"), Some(Value::Real(1.5)));
        assert_eq!(read(ColumnType::MYSQL_TYPE_LONGLONG, "x"), None);
        assert_eq!(read(ColumnType::MYSQL_TYPE_VAR_STRING, "7"), Some(Value::Text("7".into())));
    }
}
