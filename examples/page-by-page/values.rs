//! A variable of each type.

use crate::Value;

pub fn values() -> [(&'static str, Value); 8] {
    [
        ("null", Value::Null),
        ("boolean", Value::Boolean(true)),
        ("integer", Value::Integer(9_007_199_254_740_993)),
        ("real", Value::Real(0.1)),
        ("text", Value::Text("€ 😀 \0 \"".to_owned())),
        ("bytes", Value::Bytes(vec![0, 255, 128])),
        ("list", Value::Json(r#"[1,2.5,"é",null,[false]]"#.to_owned())),
        ("map", Value::Json(r#"{"large":-9007199254740993,"empty":{}}"#.to_owned())),
    ]
}
