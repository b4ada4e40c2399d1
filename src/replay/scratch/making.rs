//! A connection to the kernel for making links, addresses and routes, in whichever network namespace.

use std::path::Path;

use futures_util::TryStreamExt as _;
use rtnetlink::Handle;

use crate::node::links::LinkError;
use crate::node::netns;

/// Opens a connection in the network namespace at `netns`, or else in this thread's own, makes something, and closes it.
pub(super) fn making<T>(
    netns: Option<&Path>,
    make: impl AsyncFnOnce(Handle) -> Result<T, LinkError>,
) -> Result<T, LinkError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    // A socket stays with the namespace in which it was made.
    let open = || {
        let _inside = runtime.enter();
        let (connection, handle, _) = rtnetlink::new_connection()?;
        runtime.spawn(connection);
        Ok::<_, LinkError>(handle)
    };
    let handle = match netns {
        Some(path) => netns::inside(path, open)
            .map_err(|errno| LinkError::Netns { path: path.display().to_string(), errno })?,
        None => open(),
    }?;
    runtime.block_on(make(handle))
}

/// The index of the link of this name; 0 where there is none.
pub(super) async fn index_of(handle: &Handle, name: &str) -> Result<u32, LinkError> {
    let found = handle.link().get().match_name(name.to_owned()).execute().try_next().await?;
    Ok(found.map_or(0, |link| link.header.index))
}
