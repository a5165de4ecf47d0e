/** Builds a Java program of `interop/` with Maven. */
import { spawn } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { findJava, findMaven } from '../../tools/kafka/jvm.ts'
import { SetupError } from '../../tools/kafka/setup-error.ts'
import { buildOnce } from './build-once.ts'

/**
 * Builds it on first use; resolves with the folder of its jars. Throws a SetupError when Java or Maven is missing, or the
 * build fails.
 *
 * @param name of the folder in the cache
 * @param title the program's, in messages
 */
export async function buildWithMaven(name: string, title: string, sources: string): Promise<string> {
  findJava()
  const home = await buildOnce(name, sources, async (staging) => runMaven(findMaven(), title, staging))
  return join(home, 'target', 'jars')
}

/** With a Maven repository of its own: the shared one is not safe for two writers. */
async function runMaven(mvn: string, title: string, staging: string): Promise<void> {
  const repository = join(staging, 'repository')
  const goals = ['compiler:compile', 'jar:jar', 'dependency:copy-dependencies']
  const args = ['-B', '-q', '-f', join(staging, 'pom.xml'), `-Dmaven.repo.local=${repository}`, ...goals]
  // A build takes a third less of a processor with the quick compiler alone.
  const env = { MAVEN_OPTS: '-XX:TieredStopAtLevel=1 -XX:+UseSerialGC', ...process.env }
  const child = spawn(mvn, args, { stdio: ['ignore', 'pipe', 'pipe'], env })
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  const [output, problems] = await Promise.all([text(child.stdout), text(child.stderr)])
  if ((await ended) !== 0) throw buildFailure(title, output + problems)
  await rm(repository, { recursive: true, force: true })
}

/** Wrong Java is a defect of ours; everything else (no JDK, no network) is for whoever runs it to put right. */
function buildFailure(title: string, output: string): Error {
  const lines = output.split('\n').filter((each) => each.includes('ERROR'))
  const reasons = lines.map((line) => line.replace(/^.*ERROR\S*\s*/, '')).filter((line) => /\w/.test(line))
  const said = `Maven could not build the ${title} program: ${reasons.slice(0, 2).join('; ') || 'no reason given'}`
  if (/\.java:\[\d+/.test(output)) return new Error(said)
  return new SetupError(`${said} (it needs a JDK, 17 or newer, and on first use a network)`)
}
