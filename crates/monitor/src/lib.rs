//! Pages for people; each page also answers as JSON.
