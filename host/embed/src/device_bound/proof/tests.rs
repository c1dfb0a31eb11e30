use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};

use super::*;

/// The example of the draft, of 2026-02-17, section "Secure-Session-Response".
const OF_THE_DRAFT: &str = concat!(
    "eyJhbGciOiJFUzI1NiIsInR5cCI6ImRic2Mrand0In0.",
    "eyJhdWQiOiJodHRwczovL2V4YW1wbGUuY29tL3JlZyIsImp0aSI6ImN2IiwiaWF0IjoiMTcyNTU3OTA1NSIsImp3ayI6eyJrdHkiOiJFQyIsImNydiI6IlAt",
    "MjU2IiwieCI6IjZfR0Iydm9RMHFyb01oNk9sREZDRlNfU0pyaVFpMVBUdnZCT2hHWjNiSEkiLCJ5IjoiSWVnT0pVTHlFN1N4SF9DZDFLQ0VSN2xXQnZHRkhR",
    "LWgweHlqelVqRUlXRSJ9LCJhdXRob3JpemF0aW9uIjoiYWMifQ.",
    "6Fb_vVBDmfNghQiBmIGe8o7tBfYPbPCywhQruP0vIhxgmcJmuNTaMHeVn_M8ZnOm1_bzIitbZqCWEn-1Qzmtyw",
);

/// The key of that example, from the section "DBSC Proof JWT Syntax".
const KEY_OF_THE_DRAFT: &str = r#"{"kty": "EC", "crv": "P-256", "x": "6_GB2voQ0qroMh6OlDFCFS_SJriQi1PTvvBOhGZ3bHI",
    "y": "IegOJULyE7SxH_Cd1KCER7lWBvGFHQ-h0xyjzUjEIWE"}"#;

/// RFC 7515, appendices A.2 and A.3: what is signed after the header, each header, key and signature.
const PAYLOAD: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const A_2: (&str, &str, &str) = (
    "eyJhbGciOiJSUzI1NiJ9",
    concat!(
        r#"{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-"#,
        "SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg",
        "665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
        r#"","e":"AQAB"}"#
    ),
    concat!(
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYN",
        "X4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7no",
        "OPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
    ),
);
const A_3: (&str, &str, &str) = (
    "eyJhbGciOiJFUzI1NiJ9",
    r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
);

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The key of a device.
struct Device(EcdsaKeyPair);

impl Device {
    fn new() -> Self {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_ref(), &random).unwrap())
    }

    fn jwk(&self) -> Value {
        let point = self.0.public_key().as_ref();
        json!({ "kty": "EC", "crv": "P-256", "x": encoded(&point[1..33]), "y": encoded(&point[33..]) })
    }

    fn signed(&self, header: &Value, payload: &Value) -> String {
        let message = format!("{}.{}", encoded(header.to_string()), encoded(payload.to_string()));
        let signature = self.0.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", encoded(signature))
    }

    /// A proof with some members of the header changed.
    fn with(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut header = json!({ "typ": "dbsc+jwt", "alg": "ES256", "jwk": self.jwk() });
        change(&mut header);
        self.signed(&header, &json!({ "jti": "cv" }))
    }
}

fn proven(token: &str) -> Result<Proof> {
    Signed::parse(token)?.by_own_key()
}

#[test]
fn signatures_of_rfc_7515_are_verified_and_no_other_ones() {
    for (header, key, signature) in [A_2, A_3] {
        let key: Key = serde_json::from_str(key).unwrap();
        let algorithm = if header == A_2.0 { Algorithm::Rs256 } else { Algorithm::Es256 };
        let verifies = |message: &str, signature: Vec<u8>, algorithm| {
            Signed { algorithm, key: None, challenge: String::new(), message, signature }.verify(&key).is_ok()
        };
        let message = format!("{header}.{PAYLOAD}");
        let bytes = decoded(signature).unwrap();
        assert!(verifies(&message, bytes.clone(), algorithm));
        assert!(!verifies(&message[1..], bytes.clone(), algorithm));
        for index in [0, bytes.len() / 2, bytes.len() - 1] {
            let mut bytes = bytes.clone();
            bytes[index] ^= 1;
            assert!(!verifies(&message, bytes, algorithm), "byte {index}");
        }
        assert!(!verifies(&message, bytes[1..].to_vec(), algorithm));
        assert!(!verifies(&message, Vec::new(), algorithm));
        let other = if algorithm == Algorithm::Rs256 { Algorithm::Es256 } else { Algorithm::Rs256 };
        assert!(!verifies(&message, bytes, other), "the other algorithm");
    }
}

#[test]
fn the_example_of_the_draft_is_read_and_its_signature_is_not_by_its_key() {
    let signed = Signed::parse(OF_THE_DRAFT).unwrap();
    assert_eq!((signed.algorithm, &*signed.challenge), (Algorithm::Es256, "cv"));
    let key: Key = serde_json::from_str(KEY_OF_THE_DRAFT).unwrap();
    assert_eq!(
        signed.verify(&key),
        Err("The signature of the proof is wrong."),
        "the draft's text was changed after it was signed"
    );
    assert_eq!(
        signed.by_own_key().map(drop),
        Err("The proof has no key."),
        "the draft has it in the header by now, and in the example not"
    );
}

#[test]
fn a_proof_names_its_key_always_in_the_same_form() {
    let device = Device::new();
    let plain = proven(&device.with(|_| ())).unwrap();
    assert_eq!(plain.challenge, "cv");
    let more = proven(&device.with(|header| header["jwk"]["alg"] = json!("ES256"))).unwrap();
    assert_eq!(more.key, plain.key);
    assert_eq!(serde_json::from_str::<Value>(&plain.key).unwrap(), device.jwk());
    assert!(proven(&device.with(|header| header["typ"] = json!("DBSC+JWT"))).is_ok(), "media types have no case");
}

#[test]
fn a_refresh_is_verified_with_the_session_s_key_whatever_key_it_names() {
    let (device, other) = (Device::new(), Device::new());
    let key = proven(&device.with(|_| ())).unwrap().key;
    let by = |token: &str| Signed::parse(token).unwrap().by(key.clone());
    assert_eq!(by(&device.with(|header| header["jwk"] = Value::Null)).unwrap().key, key);
    assert_eq!(by(&device.with(|header| header["jwk"] = other.jwk())).unwrap().key, key);
    assert!(by(&other.with(|header| header["jwk"] = device.jwk())).is_err());
    assert!(by(&other.with(|_| ())).is_err());
}

#[test]
fn what_is_not_a_proof_of_the_draft_is_refused() {
    let device = Device::new();
    let good = device.with(|_| ());
    assert!(proven(&good).is_ok());
    let wrong = [
        device.with(|header| header["alg"] = json!("none")),
        device.with(|header| header["alg"] = json!("HS256")),
        device.with(|header| header["alg"] = json!("ES384")),
        device.with(|header| header["alg"] = json!("RS256")),
        device.with(|header| header["alg"] = json!(["ES256"])),
        device.with(|header| _ = header.as_object_mut().unwrap().remove("alg")),
        device.with(|header| header["typ"] = json!("JWT")),
        device.with(|header| _ = header.as_object_mut().unwrap().remove("typ")),
        device.with(|header| header["crit"] = json!(["exp"])),
        device.with(|header| header["jwk"] = Value::Null),
        device.with(|header| header["jwk"]["crv"] = json!("P-384")),
        device.with(|header| header["jwk"]["kty"] = json!("oct")),
        device.with(|header| header["jwk"]["x"] = json!("")),
        device.with(|header| header["jwk"]["y"] = json!(encoded([0; 33]))),
        device.with(|header| header["jwk"]["x"] = json!(encoded([255; 32]))),
        device.with(|header| header["jwk"] = Device::new().jwk()),
        device.signed(&json!({ "typ": "dbsc+jwt", "alg": "ES256", "jwk": device.jwk() }), &json!({})),
        device.signed(&json!({ "typ": "dbsc+jwt", "alg": "ES256", "jwk": device.jwk() }), &json!({ "jti": 1 })),
        device.signed(&json!([]), &json!({ "jti": "cv" })),
        good.replace('.', ""),
        format!("{good}="),
        format!("{good}.x"),
        good[..good.rfind('.').unwrap() + 1].to_owned(),
        String::new(),
        "..".to_owned(),
        "é.é.é".to_owned(),
    ];
    for token in wrong {
        assert!(proven(&token).is_err(), "{token}");
    }
}

#[test]
fn a_key_of_rsa_has_up_to_4096_bits() {
    let key = |bytes: usize| Key::Rsa { n: encoded(vec![0xff; bytes]), e: "AQAB".to_owned() };
    assert!(key(512).text().is_ok());
    assert_eq!(key(513).text(), Err("The key has more than 4096 bits."));
    let text = Key::text(&serde_json::from_str(A_2.1).unwrap()).unwrap();
    assert!(text.starts_with(r#"{"e":"AQAB","kty":"RSA","n":"ofgW"#));
}

#[test]
fn any_text_is_read_or_refused() {
    let device = Device::new();
    let good = device.with(|_| ());
    for index in 0..good.len() {
        for byte in [b'.', b'A', b'_', b'"'] {
            let mut token = good.clone().into_bytes();
            token[index] = byte;
            let token = String::from_utf8(token).unwrap();
            assert_eq!(proven(&token).is_ok(), token == good, "{token}");
        }
    }
}
