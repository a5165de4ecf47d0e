import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess, StdioOptions } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SetupError } from './setup-error.ts'

/** Apache Kafka 4 runs on Java 17 and newer; releases before it do on 17, too. */
const oldestJava = 17
const logSettings = fileURLToPath(new URL('log4j2.xml', import.meta.url))
/** Before 4.0 Kafka logs by Log4j 1. */
const oldLogSettings = new URL('log4j.properties', import.meta.url).href

/**
 * The Java to use: `JAVA_HOME`'s, else the one on the PATH.
 * Throws a SetupError that says what to install when there is none, or it is older than 17.
 */
export function findJava(): string {
  const java = wantedJava()
  const version = /version "(\d+)/.exec(aboutJava(java))?.[1]
  const todo =
    'install Java 17 or newer (Debian: apt-get install default-jre-headless maven), or set KAFKA_BROKERS'
  if (version === undefined) throw new SetupError(`no Java found to run Apache Kafka with: ${todo}`)
  if (Number(version) < oldestJava)
    throw new SetupError(`Java ${version} is too old for Apache Kafka 4: ${todo}`)
  return java
}

function wantedJava(): string {
  const atHome = process.env['JAVA_HOME'] && join(process.env['JAVA_HOME'], 'bin', 'java')
  return atHome && existsSync(atHome) ? atHome : 'java'
}

const answers = new Map<string, string>()

/** What it says of its version and build; empty when there is none. */
function aboutJava(java: string): string {
  const answer = answers.get(java) ?? spawnSync(java, ['-version'], { encoding: 'utf8' }).stderr ?? ''
  if (answer !== '') answers.set(java, answer)
  return answer
}

/** The option for the class archive of a folder of jars, if there is one. */
export function sharedClasses(jars: string): string[] {
  const archive = classArchiveOf(jars)
  return existsSync(archive) ? [`-XX:SharedArchiveFile=${archive}`] : []
}

/** Where class-archive.ts keeps the class archive of a folder of jars. It is this Java's, and no other can use it. */
export function classArchiveOf(jars: string): string {
  const build = createHash('sha256').update(aboutJava(wantedJava())).digest('hex')
  return `${jars}-${build.slice(0, 12)}.jsa`
}

/** The `mvn` to fetch jars with. Throws a SetupError that says what to install when there is none. */
export function findMaven(): string {
  if (spawnSync('mvn', ['--version'], { stdio: 'ignore' }).status === 0) return 'mvn'
  throw new SetupError(
    'no Maven found to fetch jars with: install it (Debian: apt-get install maven), or set KAFKA_BROKERS',
  )
}

// A JVM must not outlive the Node process that started it, however that one ended. Nothing runs in a process
// that is killed with -9, so a shell stands between the two. It holds the reading end of a pipe (fd 3) whose
// writing end only the Node process has: when that process ends the kernel closes the pipe, `read` in the
// background returns and kills the JVM (-9 ends a stopped one too). The shell in the foreground waits for the
// JVM and then for the watcher: one that came to its end (status 0) means that nobody is left to tidy up.
// The JVM's process id is reported on fd 4; fd 5 carries standard input over to it, because a shell gives
// /dev/null to what it starts in the background.
const keeper = `
exec 5<&0
"$@" <&5 3<&- 4>&- 5<&- &
jvm=$!
echo $jvm >&4
exec 4>&- 5<&-
( read -r _ <&3; trap '' TERM; kill -9 $jvm; exit 0 ) </dev/null >/dev/null 2>&1 &
watcher=$!
exec 3<&-
wait $jvm
status=$?
kill $watcher 2>/dev/null
if wait $watcher; then
  [ -z "$REMOVE_WITH_PARENT" ] || rm -rf -- "$REMOVE_WITH_PARENT"
  [ -z "$REMOVE_IF_EMPTY" ] || rmdir -- "$REMOVE_IF_EMPTY"
fi >/dev/null 2>&1
exit $status
`

/** For tests on a small machine: little memory, quick to start. A benchmark wants the full compiler. */
export const defaultJvmOptions: readonly string[] = [
  '-Xmx256m',
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
]

export interface JvmOptions {
  /** Folder of the jars. */
  jars: string
  mainClass: string
  args: readonly string[]
  /** Options of the virtual machine itself, such as `-Xmx256m`. */
  jvmOptions?: readonly string[]
  stdin?: 'pipe' | 'ignore'
  /** Where output goes: `'pipe'`, or the number of an open file. */
  output: 'pipe' | number
  /** Level of the log, which goes to standard output. Default WARN. */
  logLevel?: 'INFO' | 'WARN' | 'ERROR' | 'OFF'
  /** A folder that is removed when this Node process dies without having stopped the JVM. */
  removeWithParent?: string
  /** A folder that goes after it if nothing is left in it. */
  removeIfEmpty?: string
}

export interface Jvm {
  /** The shell that watches over the JVM; it exits when the JVM does. */
  child: ChildProcess
  /** Process id of the JVM itself: what signals are sent to. */
  pid: number
}

/** Starts a JVM that ends with this process; resolves as soon as its process id is known. */
export async function startJvm(options: JvmOptions): Promise<Jvm> {
  const args = [
    '-Xshare:auto',
    ...sharedClasses(options.jars),
    '-XX:-UsePerfData',
    '-Djava.awt.headless=true',
    `-Dlog4j2.configurationFile=${logSettings}`,
    `-Dlog4j.configuration=${oldLogSettings}`,
    `-Dmilena.log.level=${options.logLevel ?? 'WARN'}`,
    ...(options.jvmOptions ?? []),
    '-cp',
    join(options.jars, '*'),
    options.mainClass,
    ...options.args,
  ]
  const stdio: StdioOptions = [options.stdin ?? 'ignore', options.output, options.output, 'pipe', 'pipe']
  // A session of its own: Ctrl-C in a terminal reaches only the Node process, which then stops things in order.
  const child = spawn('/bin/sh', ['-c', keeper, 'sh', findJava(), ...args], {
    stdio,
    detached: true,
    env: {
      ...process.env,
      REMOVE_WITH_PARENT: options.removeWithParent ?? '',
      REMOVE_IF_EMPTY: options.removeIfEmpty ?? '',
    },
  })
  // The pipe's writing end is held open on purpose and never written to; an error says that the shell has ended.
  child.stdio[3]?.on('error', () => {})
  const pid = await new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    let report = ''
    child.stdio[4]?.on('data', (chunk: Buffer) => (report += chunk.toString()))
    child.stdio[4]?.on('close', () => resolve(Number(report)))
  })
  return { child, pid }
}
