//! The contract, as wit-bindgen renders it.

wit_bindgen::generate!({
    path: "wit",
    world: "lemon:session/application",
    additional_derives: [Default, PartialEq],
    additional_derives_ignore: ["value", "error", "secure", "same-site"],
});
