/** Loaded before anything else, so that a Node that is too old is named, and not what it happens to lack. */
const oldest = [22, 22] as const
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

if (major < oldest[0] || (major === oldest[0] && minor < oldest[1])) {
  throw new Error(
    `@milena/request-reply needs Node ${oldest.join('.')} or newer; this is Node ${process.versions.node}`,
  )
}
