//! What a replaced file leaves to the one in its place: owner, group, mode and attributes.

use std::fs::File;
use std::io;
use std::path::Path;

/// Gives `file` what the file at `old` has, as far as the system lets this process: its owner and
/// group, its mode without the set-user-ID, set-group-ID and sticky bits, its access list, and its
/// attributes of the class `user`. Nothing where there is no old file.
///
/// # Errors
/// If `file` would be open to more people than the old one, because its mode cannot be set.
#[cfg(unix)]
pub(super) fn keep(old: &Path, file: &File) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let Ok(was) = std::fs::metadata(old) else { return Ok(()) };
    let now = file.metadata()?;
    let same_group = now.gid() == was.gid() || fchown(file, None, Some(was.gid())).is_ok();
    if now.uid() != was.uid() {
        // Only root may give files away; to others the file is their own from now on.
        let _ = fchown(file, Some(was.uid()), None);
    }
    let mode = mode(was.mode(), same_group);
    if let Err(error) = super::system::set_mode(file, mode) {
        // Some file systems have one mode for all files, and refuse every change.
        if file.metadata()?.mode() & 0o777 & !mode != 0 {
            return Err(error);
        }
    }
    #[cfg(target_os = "linux")]
    if same_group {
        keep_extended(old, file);
    }
    Ok(())
}

/// The mode of the new file. Where its group is another, the group gets no more than everybody:
/// what was for one group is not for the other.
#[cfg(unix)]
fn mode(was: u32, same_group: bool) -> u32 {
    match same_group {
        true => was & 0o777,
        false => was & 0o707 | (was & 0o070 & ((was & 0o007) << 3)),
    }
}

#[cfg(not(unix))]
pub(super) fn keep(_old: &Path, _file: &File) -> io::Result<()> {
    Ok(())
}

/// The most bytes that Linux lets a name list or a value have.
#[cfg(target_os = "linux")]
const MOST: usize = 1 << 16;

/// Copies the attributes that a user sets, and the access list. Those of security modules are the
/// system's to give, and capabilities are not for new content.
#[cfg(target_os = "linux")]
fn keep_extended(old: &Path, file: &File) {
    use rustix::fs::{XattrFlags, fsetxattr, getxattr, listxattr};
    let (mut names, mut value) = (vec![0u8; MOST], vec![0u8; MOST]);
    let Ok(length) = listxattr(old, &mut names[..]) else { return };
    for name in names[..length].split(|&byte| byte == 0) {
        if !name.starts_with(b"user.") && name != b"system.posix_acl_access" {
            continue;
        }
        if let Ok(length) = getxattr(old, name, &mut value[..]) {
            let _ = fsetxattr(file, name, &value[..length], XattrFlags::empty());
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};

    #[test]
    fn a_mode_opens_nothing_to_another_group() {
        assert_eq!([0o104_755, 0o102_640, 0o101_777].map(|m| mode(m, true)), [0o755, 0o640, 0o777]);
        let modes = [0o640, 0o664, 0o666, 0o4775, 0o070, 0o600];
        assert_eq!(modes.map(|m| mode(m, false)), [0o600, 0o644, 0o666, 0o755, 0, 0o600]);
    }

    #[test]
    fn owner_group_mode_and_attributes_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("old"), dir.path().join("new"));
        let file = File::create(&old).unwrap();
        let is_root = fchown(&file, Some(1234), Some(5678)).is_ok();
        fs::set_permissions(&old, fs::Permissions::from_mode(0o4640)).unwrap();
        #[cfg(target_os = "linux")]
        let has_attributes = {
            use rustix::fs::{XattrFlags, setxattr};
            setxattr(&old, "user.origin", b"here", XattrFlags::empty()).is_ok()
        };
        let file = File::create(&new).unwrap();
        keep(&old, &file).unwrap();
        let (was, now) = (fs::metadata(&old).unwrap(), fs::metadata(&new).unwrap());
        assert_eq!(now.mode() & 0o7777, 0o640);
        match is_root {
            true => assert_eq!((now.uid(), now.gid()), (1234, 5678)),
            false => eprintln!("NOT RUN: other owners, which need root"),
        }
        assert_eq!((now.uid(), now.gid()), (was.uid(), was.gid()));
        #[cfg(target_os = "linux")]
        match has_attributes {
            true => {
                let mut value = [0; 9];
                let length = rustix::fs::getxattr(&new, "user.origin", &mut value[..]).unwrap();
                assert_eq!(&value[..length], b"here");
            }
            false => eprintln!("NOT RUN: attributes, which this file system does not have"),
        }
        keep(&dir.path().join("missing"), &file).unwrap();
    }
}
