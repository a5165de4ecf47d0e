/** What is wrong with the Node that runs this; undefined when nothing is. */
export const nodeProblem: string | undefined = readProblem(process.versions.node)

function readProblem(version: string): string | undefined {
  const [oldestMajor, oldestMinor] = [22, 22]
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return undefined
  return `@milena/embedded-kafka needs Node ${oldestMajor}.${oldestMinor} or newer; this is Node ${version}`
}
