//! The binary among the plugins: put there in one step, so that a call never meets half of it, and one that runs goes on
//! with the file that it was started from.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::edit::ENDING;
use super::edit::beside::sync_folder;
use super::lock::Lock;
use crate::digest::sha256_of;

/// The program that runs, whatever its file is called by now.
const THIS: &str = "/proc/self/exe";

/// What stands where the binary is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Nothing.
    Missing,
    /// The binary that runs.
    Same,
    /// Another one.
    Other,
}

/// What stands at a path.
///
/// # Errors
/// If it cannot be read.
pub fn standing(reached: &Path) -> io::Result<Standing> {
    let there = match File::open(reached) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Standing::Missing),
        there => there?,
    };
    let this = File::open(THIS)?;
    let is_as_long = this.metadata()?.len() == there.metadata()?.len();
    let is_same = is_as_long && sha256_of(this)? == sha256_of(there)?;
    let is_executable = std::fs::metadata(reached)?.permissions().mode() & 0o111 == 0o111;
    Ok(if is_same && is_executable { Standing::Same } else { Standing::Other })
}

/// A new binary, beside the place that it is to have.
#[derive(Debug)]
pub struct Binary {
    place: PathBuf,
    new: PathBuf,
    old: PathBuf,
}

impl Binary {
    /// Copies the program that runs.
    ///
    /// # Errors
    /// If it cannot be written; then nothing is left.
    pub fn copy(_: &Lock, place: &Path) -> io::Result<Binary> {
        let binary = Binary::at(place);
        binary.forget();
        binary.write().inspect_err(|_| binary.forget())?;
        Ok(binary)
    }

    /// The names at a place: what has them was left by an installer that was killed, unless one runs.
    #[must_use]
    pub fn at(place: &Path) -> Binary {
        let name = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let beside = |what: &str| place.with_file_name(format!(".{name}-{what}{ENDING}"));
        Binary { place: place.to_owned(), new: beside("next"), old: beside("last") }
    }

    fn write(&self) -> io::Result<()> {
        let mut this = File::open(THIS)?;
        let mut new = File::options().write(true).create_new(true).mode(0o700).open(&self.new)?;
        io::copy(&mut this, &mut new)?;
        new.set_permissions(Permissions::from_mode(0o755))?;
        new.sync_all()
    }

    /// Where it is until it has its place.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.new
    }

    /// Gives it its place. What stood there is kept until it is forgotten.
    ///
    /// # Errors
    /// If it cannot have it; then what stood there stands there.
    pub fn put(&self) -> io::Result<()> {
        let put = || {
            match std::fs::hard_link(&self.place, &self.old) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            std::fs::rename(&self.new, &self.place)?;
            sync_folder(&self.place);
            Ok(())
        };
        put().inspect_err(|_| self.forget())
    }

    /// Puts back what stood there.
    ///
    /// # Errors
    /// If it cannot.
    pub fn undo(&self) -> io::Result<()> {
        match std::fs::rename(&self.old, &self.place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => std::fs::remove_file(&self.place)?,
            undone => undone?,
        }
        self.forget();
        Ok(())
    }

    /// Removes what is beside the place.
    pub fn forget(&self) {
        let _ = std::fs::remove_file(&self.new);
        let _ = std::fs::remove_file(&self.old);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(root: &Path) -> Lock {
        Lock::take(&crate::node::Node::at(root), std::time::Duration::from_secs(5)).unwrap()
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn it_comes_and_goes_and_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let lock = lock(root.path());
        let place = root.path().join("cniscope");
        assert_eq!(standing(&place).unwrap(), Standing::Missing);
        let binary = Binary::copy(&lock, &place).unwrap();
        assert_eq!(standing(binary.path()).unwrap(), Standing::Same);
        binary.put().unwrap();
        assert_eq!(standing(&place).unwrap(), Standing::Same);
        binary.undo().unwrap();
        assert_eq!(names(root.path()), ["var"]);
    }

    #[test]
    fn another_one_has_its_place_until_it_is_put_back() {
        let root = tempfile::tempdir().unwrap();
        let lock = lock(root.path());
        let place = root.path().join("cniscope");
        std::fs::write(&place, "other").unwrap();
        assert_eq!(standing(&place).unwrap(), Standing::Other);
        let binary = Binary::copy(&lock, &place).unwrap();
        binary.put().unwrap();
        binary.undo().unwrap();
        assert_eq!(std::fs::read_to_string(&place).unwrap(), "other");
        let binary = Binary::copy(&lock, &place).unwrap();
        binary.put().unwrap();
        binary.forget();
        assert_eq!(
            (standing(&place).unwrap(), names(root.path())),
            (Standing::Same, vec!["cniscope".into(), "var".into()])
        );
    }

    #[test]
    fn one_that_may_not_be_executed_is_another() {
        let root = tempfile::tempdir().unwrap();
        let place = root.path().join("cniscope");
        std::fs::copy(THIS, &place).unwrap();
        std::fs::set_permissions(&place, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(standing(&place).unwrap(), Standing::Other);
    }
}
