/**
 * Kafka's classes as a JVM has them in memory once they are loaded and verified: an archive for class data sharing
 * (JEP 350). With it a broker comes up with two thirds of the processor time.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { KafkaJars } from './release.ts'
import { classArchiveOf, defaultJvmOptions, findJava } from './jvm.ts'
import { KafkaNode } from './node.ts'
import { freePorts } from './ports.ts'
import { awaitReady } from './ready.ts'

/**
 * Makes the archive for these jars and this Java, unless it is there, by running a broker until it serves. Where that
 * makes none, all go on without.
 */
export async function makeClassArchive(jars: KafkaJars): Promise<void> {
  const archive = classArchiveOf(jars.jars)
  if (existsSync(archive)) return
  process.stderr.write('keeping what Java loads of Apache Kafka, for quicker starts (once)\n')
  const dir = await mkdtemp(join(tmpdir(), 'milena-kafka-classes-'))
  const made = `${archive}.${process.pid}`
  const node = await oneNode(jars, dir, [...defaultJvmOptions, `-XX:ArchiveClassesAtExit=${made}`])
  try {
    await node.start()
    await awaitReady([node])
    await node.stop()
    if (beginsWith(made, jars.jars)) await rename(made, archive)
  } catch {
    // What keeps a broker from starting will be said of the one that is wanted.
  } finally {
    await node.kill()
    await Promise.all([dir, made].map((path) => rm(path, { recursive: true, force: true })))
  }
}

/** A JVM dies of a file that is not whole. */
function beginsWith(archive: string, jars: string): boolean {
  const options = ['-Xshare:on', `-XX:SharedArchiveFile=${archive}`, '-cp', join(jars, '*'), '-version']
  return spawnSync(findJava(), options, { stdio: 'ignore' }).status === 0
}

async function oneNode(jars: KafkaJars, dir: string, options: readonly string[]): Promise<KafkaNode> {
  const [port, controllerPort] = await freePorts(2)
  return new KafkaNode({
    id: 1,
    port: port!,
    controllerPort: controllerPort!,
    voters: [{ id: 1, controllerPort: controllerPort! }],
    configs: {},
    jars,
    clusterId: 'bWlsZW5hLWNsYXNzZXMtXw',
    dir,
    keep: false,
    around: undefined,
    jvmOptions: options,
    awaitMember: async () => {},
  })
}
