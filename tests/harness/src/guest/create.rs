//! How a guest comes into being: a directory and a guard, its keys and disks, its first boot.

use std::process::Command;
use std::sync::Mutex;

use super::directory::{GuestDir, GuestRecord};
use super::disk::Disk;
use super::guard::Guard;
use super::image::{self, Image};
use super::wire::Wire;
use super::{Guest, GuestError, GuestSpec, identity, machine};
use crate::host::random_id;
use crate::lab::Lab;
use crate::name::Name;
use crate::process::ProcessId;
use crate::program;
use crate::ssh_keys;
use crate::state::{self, StateDir};

impl Guest {
    pub(super) fn make(
        spec: GuestSpec,
        lab: Option<&Lab>,
        progress: &dyn Fn(&str),
    ) -> Result<Guest, GuestError> {
        let name = Name::try_from(spec.name.clone())?;
        spec.check(&name)?;
        let missing = Guest::requirements();
        if !missing.is_empty() {
            return Err(GuestError::Requirements(missing));
        }
        let image = image::get(progress)?;
        progress(&format!("booting guest {name}"));
        let guest = Guest::install(name, spec, lab, image)?;
        guest.power_on()?;
        Ok(guest)
    }

    /// Gives the guest its files, keys and place in the network.
    fn install(
        name: Name,
        spec: GuestSpec,
        lab: Option<&Lab>,
        image: Image,
    ) -> Result<Guest, GuestError> {
        let state = |source| GuestError::state(&name, source);
        let in_lab = |source| GuestError::Lab {
            guest: name.clone(),
            source: Box::new(source),
        };
        let states = StateDir::from_env();
        let dir = GuestDir::new(&states, lab.map(|lab| lab.dir().clone()), &name);
        let lock = match lab {
            Some(lab) if !lab.dir().path().exists() => {
                return Err(in_lab(crate::LabError::Unknown(lab.dir().name().clone())));
            }
            Some(lab) => Some(lab.dir().state().lock(lab.dir().name()).map_err(state)?),
            None => None,
        };
        let (index, wire) = match lab {
            None => (None, Wire::User),
            Some(lab) => {
                let index = lab.free_index().map_err(in_lab)?;
                let wire = Wire::Lab {
                    namespace: lab.dir().network(),
                    bridges: lab.bridges(),
                    index,
                };
                (Some(index), wire)
            }
        };
        if let Some(parent) = dir.path().parent() {
            state::create_dir(parent).map_err(state)?;
        }
        // Not `create_dir_all`: the name is taken by whoever makes the directory.
        std::fs::create_dir(dir.path()).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => GuestError::Exists(name.clone()),
            _ => state(state::access("create directory", dir.path(), error)),
        })?;
        let mut record = GuestRecord {
            id: random_id().map_err(state)?,
            creator: ProcessId::own(),
            index,
            host_key: String::new(),
        };
        dir.write_record(&record).map_err(state)?;
        // From here on a crash leaves something behind, so the guard comes before the rest.
        let guard = Guard::start(&states, &dir, &record.id).map_err(|source| {
            let _ = state::remove_tree(dir.path());
            let guest = name.clone();
            GuestError::Reaper { guest, source }
        })?;
        let mut guest = Guest {
            dir: dir.clone(),
            record: record.clone(),
            spec,
            image,
            wire,
            now: Mutex::default(),
            guard: Some(guard),
        };
        // What fails from here on drops the guest, which removes it; that needs the lab's lock.
        let filled = guest.fill(&mut record);
        drop(lock);
        filled?;
        guest.record = record;
        Ok(guest)
    }

    /// Makes keys and disks.
    fn fill(&mut self, record: &mut GuestRecord) -> Result<(), GuestError> {
        let (dir, name) = (&self.dir, self.dir.name());
        let state = |source| GuestError::state(name, source);
        let key = |source| GuestError::key(name, source);
        let program = |source| GuestError::program(name, source);
        let client = dir.driver().join("id_ed25519");
        let client = match dir.lab() {
            Some(_) => ssh_keys::public_line(&client),
            None => {
                state::create_dir(&dir.driver()).map_err(state)?;
                ssh_keys::generate(&client)
            }
        };
        let cards = self.wire.cards();
        let initrd = self.image.initrd();
        record.host_key =
            identity::write(dir.path(), name, &cards, &client.map_err(key)?, &initrd)?;
        dir.write_record(record).map_err(state)?;
        if let (Some(lab), Wire::Lab { bridges, .. }) = (dir.lab(), &self.wire) {
            ssh_keys::write_known_hosts(lab, *bridges).map_err(key)?;
        }
        let mut root = Command::new("qemu-img");
        root.args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"])
            .arg(self.image.root())
            .arg(dir.path().join(format!("{}.qcow2", machine::ROOT)));
        program::run(&mut root).map_err(program)?;
        let mut disks = Vec::new();
        for (number, spec) in self.spec.disks.iter().enumerate() {
            disks.push(Disk::create(dir.path(), number, spec.clone()).map_err(program)?);
        }
        self.now().disks = disks;
        Ok(())
    }
}

impl Lab {
    /// Makes a guest in the lab and boots it: it has a card on every bridge, an address like a
    /// host's, the lab's SSH key, and a line in the lab's known_hosts. It belongs to the value that is
    /// returned, and goes with the lab at the latest.
    pub fn add_guest(&self, spec: GuestSpec, progress: &dyn Fn(&str)) -> Result<Guest, GuestError> {
        Guest::make(spec, Some(self), progress)
    }
}
