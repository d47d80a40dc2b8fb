//! The Terraform modules, READMEs and workflows say what the code does.

mod readme;
mod refusals;
mod smoke;
mod workflows;
