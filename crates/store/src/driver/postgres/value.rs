//! Values as PostgreSQL sends them: bound by the type it inferred, read by the type of the column.

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::{
    dialect::Bound,
    error::Error,
    stmt::{Stmt, Ty},
    value::Value,
};

type Failure = Box<dyn std::error::Error + Sync + Send>;

impl ToSql for Bound<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        match self {
            Self::Null => return Ok(IsNull::Yes),
            Self::Int(v) => int(*v, ty, out)?,
            Self::Real(v) => match *ty {
                Type::FLOAT8 => out.put_f64(*v),
                _ => return Err(format!("a real is bound where the statement wants {ty}").into()),
            },
            Self::Text(v) => match *ty {
                Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN => out.put_slice(v.as_bytes()),
                _ => return Err(format!("text is bound where the statement wants {ty}").into()),
            },
            Self::Ints(v) => return v.to_sql(ty, out),
            Self::Texts(v) => return v.to_sql(ty, out),
        }
        Ok(IsNull::No)
    }
    fn accepts(_: &Type) -> bool {
        true
    }
    to_sql_checked!();
}

fn int(v: i64, ty: &Type, out: &mut BytesMut) -> Result<(), Failure> {
    match *ty {
        Type::INT8 => out.put_i64(v),
        Type::INT4 => out.put_i32(i32::try_from(v)?),
        #[expect(clippy::cast_precision_loss, reason = "a count bound as a real")]
        Type::FLOAT8 => out.put_f64(v as f64),
        Type::TEXT | Type::VARCHAR => out.put_slice(v.to_string().as_bytes()),
        Type::BOOL => out.put_u8(u8::from(v != 0)),
        _ => return Err(format!("an integer is bound where the statement wants {ty}").into()),
    }
    Ok(())
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
        Ok(match *ty {
            Type::INT8 => Self::Int(i64::from_sql(ty, raw)?),
            Type::INT4 => Self::Int(i64::from(i32::from_sql(ty, raw)?)),
            Type::INT2 => Self::Int(i64::from(i16::from_sql(ty, raw)?)),
            Type::BOOL => Self::Int(i64::from(bool::from_sql(ty, raw)?)),
            Type::FLOAT8 => Self::Real(f64::from_sql(ty, raw)?),
            Type::FLOAT4 => Self::Real(f64::from(f32::from_sql(ty, raw)?)),
            Type::NUMERIC => numeric(raw)?,
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN => Self::Text(std::str::from_utf8(raw)?.to_owned()),
            _ => return Err(format!("a column of type {ty} is not in the vocabulary").into()),
        })
    }
    fn from_sql_null(_: &Type) -> Result<Self, Failure> {
        Ok(Self::Null)
    }
    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Reads NUMERIC, the type of sums of integers: digits of base 10,000, weight, sign, scale. Whole numbers become integers where they fit.
fn numeric(raw: &[u8]) -> Result<Value, Failure> {
    let word = |i: usize| raw.get(2 * i..2 * i + 2).map(|b| i16::from_be_bytes([b[0], b[1]])).ok_or("a short NUMERIC");
    let (digits, weight, negative) = (word(0)?, word(1)?, word(2)? == 0x4000);
    let (mut whole, mut real) = (0_i64, 0_f64);
    let mut exact = digits <= weight + 1;
    for i in 0..digits.max(if exact { weight + 1 } else { digits }) {
        let digit = if i < digits { word(4 + usize::try_from(i)?)? } else { 0 };
        match whole.checked_mul(10_000).and_then(|w| w.checked_add(i64::from(digit))) {
            Some(next) => whole = next,
            None => exact = false,
        }
        real += f64::from(digit) * 10_000_f64.powi(i32::from(weight - i));
    }
    let sign = if negative { -1 } else { 1 };
    Ok(if exact { Value::Int(sign * whole) } else { Value::Real(real * f64::from(i32::try_from(sign)?)) })
}

/// One parameter of a bulk insert: a column of all rows.
#[derive(Debug)]
pub(super) enum Column<'a> {
    Ints(Vec<Option<i64>>),
    Reals(Vec<Option<f64>>),
    Texts(Vec<Option<&'a str>>),
}

impl ToSql for Column<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        match self {
            Self::Ints(v) => v.to_sql(ty, out),
            Self::Reals(v) => v.to_sql(ty, out),
            Self::Texts(v) => v.to_sql(ty, out),
        }
    }
    fn accepts(_: &Type) -> bool {
        true
    }
    to_sql_checked!();
}

/// Turns rows into columns.
pub(super) fn columns<'a>(stmt: &Stmt, rows: &[&'a [Value]]) -> Result<Vec<Column<'a>>, Error> {
    let wrong = |name: &str, v: &Value| Error::Decode(format!("statement {}: column {name} cannot hold {v:?}", stmt.name));
    let mut out = Vec::with_capacity(stmt.columns.len());
    for (i, (name, ty)) in stmt.columns.iter().enumerate() {
        out.push(match ty {
            Ty::Int => Column::Ints(
                rows.iter()
                    .map(|r| match &r[i] {
                        Value::Null => Ok(None),
                        Value::Int(v) => Ok(Some(*v)),
                        v => Err(wrong(name, v)),
                    })
                    .collect::<Result<_, _>>()?,
            ),
            Ty::Real => Column::Reals(
                rows.iter()
                    .map(|r| match &r[i] {
                        Value::Null => Ok(None),
                        Value::Real(v) => Ok(Some(*v)),
                        #[expect(clippy::cast_precision_loss, reason = "a count stored as a real")]
                        Value::Int(v) => Ok(Some(*v as f64)),
                        v => Err(wrong(name, v)),
                    })
                    .collect::<Result<_, _>>()?,
            ),
            Ty::Text => Column::Texts(
                rows.iter()
                    .map(|r: &&'a [Value]| match &r[i] {
                        Value::Null => Ok(None),
                        Value::Text(v) => Ok(Some(v.as_str())),
                        v => Err(wrong(name, v)),
                    })
                    .collect::<Result<_, _>>()?,
            ),
        });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(words: &[i16]) -> Value {
        numeric(&words.iter().flat_map(|w| w.to_be_bytes()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn sums_are_integers() {
        assert_eq!(read(&[0, 0, 0, 0]), Value::Int(0));
        assert_eq!(read(&[1, 0, 0, 0, 7]), Value::Int(7));
        assert_eq!(read(&[1, 1, 0, 0, 12]), Value::Int(120_000));
        assert_eq!(read(&[2, 1, 0x4000, 0, 12, 34]), Value::Int(-120_034));
        assert_eq!(read(&[2, 0, 0, 1, 1, 5_000]), Value::Real(1.5));
    }
}
