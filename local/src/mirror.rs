//! A copy of the Terraform code to work in, so that the checkout stays as it is.
//!
//! It keeps the checkout's layout: relative paths from a stack to the modules and to the functions' packages stay
//! valid. Only the packages differ: they are built for this machine. A function in Python is zipped, `NAME.py` to
//! `NAME.zip` beside it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::packages;

/// A copy of the checkout's modules, some of its stacks, and the functions' packages.
#[derive(Clone, Debug)]
pub struct Mirror {
    repository: PathBuf,
    /// The copy's folder.
    pub folder: PathBuf,
}

impl Mirror {
    /// A mirror of the checkout in this folder. Nothing is copied yet.
    pub fn new(repository: &Path, folder: &Path) -> Self {
        Self { repository: repository.to_owned(), folder: folder.to_owned() }
    }

    /// Brings the functions' packages up to date, from their programs by name.
    ///
    /// # Errors
    /// When a program cannot be packaged.
    pub fn package(&self, programs: &BTreeMap<String, PathBuf>) -> Result<()> {
        packages::package(programs, &self.folder.join("target/lambda"))
    }

    /// Brings the modules up to date.
    ///
    /// # Errors
    /// When a file cannot be copied.
    pub fn copy_modules(&self) -> Result<()> {
        let modules = self.repository.join("modules");
        for module in fs::read_dir(&modules).with_context(|| format!("cannot read {}", modules.display()))? {
            self.copy(&Path::new("modules").join(module?.file_name()))?;
        }
        Ok(())
    }

    /// Brings a stack, such as `terraform`, up to date, and returns its folder. Its state is kept.
    ///
    /// # Errors
    /// When a file cannot be copied.
    pub fn copy(&self, stack: &Path) -> Result<PathBuf> {
        let (from, to) = (self.repository.join(stack), self.folder.join(stack));
        fs::create_dir_all(&to).with_context(|| format!("cannot make {}", to.display()))?;
        for file in fs::read_dir(&to)? {
            let path = file?.path();
            if is_source(&path) {
                fs::remove_file(path)?;
            }
        }
        for file in fs::read_dir(&from).with_context(|| format!("there is no stack {}", from.display()))? {
            let file = file?;
            let (path, name) = (file.path(), file.file_name());
            if is_source(&path) {
                fs::copy(&path, to.join(&name))?;
            }
            if has_extension(&path, "py") {
                packages::zip(&name.to_string_lossy(), &path, &to.join(&name).with_extension("zip"))?;
            }
        }
        Ok(to)
    }
}

/// Whether Terraform reads the file as code. The backend is left out: the state of a local stack stays local.
fn is_source(path: &Path) -> bool {
    (has_extension(path, "tf") || has_extension(path, "tfvars"))
        && path.file_name().is_some_and(|name| name != "backend.tf" && name != "backend_override.tf")
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}
