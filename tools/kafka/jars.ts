import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { makeClassArchive } from './class-archive.ts'
import { findJava, findMaven } from './jvm.ts'
import { kafkaVersion, wantedKafkaVersion } from './release.ts'
import type { KafkaJars } from './release.ts'
import { SetupError } from './setup-error.ts'

const pom = fileURLToPath(new URL('pom.xml', import.meta.url))
const copyDependencies = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies'

/**
 * Apache Kafka's jars, fetched on first use into the user's cache folder (`XDG_CACHE_HOME` or `~/.cache`).
 *
 * Two processes at once are fine: each fetches into a folder of its own, with a Maven repository of its own
 * (Maven's shared one is not safe for two writers), and the first to finish renames it into place.
 *
 * Throws a SetupError when Java or Maven is missing, or when Maven could not fetch.
 */
export async function fetchKafkaJars(version: string = wantedKafkaVersion()): Promise<KafkaJars> {
  if (!/^\d+\.\d+\.\d+$/.test(version)) {
    throw new SetupError(`Apache Kafka ${version}: write a release such as ${kafkaVersion}`)
  }
  const java = findJava()
  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'milena', `kafka-${version}`)
  // Named after the list of jars, so that a checkout with another list never gets these.
  const digest = createHash('sha256')
    .update(await readFile(pom))
    .digest('hex')
  const home = join(cache, digest.slice(0, 12))
  const found = { jars: join(home, 'jars'), formatted: join(home, 'formatted') }
  if (existsSync(found.formatted)) {
    await makeClassArchive(found)
    return found
  }

  const mvn = findMaven()
  process.stderr.write(`fetching Apache Kafka ${version} with Maven into ${cache} (once, about 60 MB)\n`)
  await mkdir(cache, { recursive: true })
  const staging = await mkdtemp(join(cache, '.fetching-'))
  try {
    await cp(pom, join(staging, 'pom.xml'))
    await runMaven(mvn, staging, version)
    await makeFormatted(java, staging)
    await rm(join(staging, 'repository'), { recursive: true, force: true })
    await rename(staging, home).catch((error: NodeJS.ErrnoException) => {
      if (!existsSync(found.formatted)) throw error // otherwise somebody else was first, with the same content
    })
  } finally {
    await rm(staging, { recursive: true, force: true })
  }
  await makeClassArchive(found)
  return found
}

async function runMaven(mvn: string, staging: string, version: string): Promise<void> {
  const args = [
    '-B',
    '-q',
    '-f',
    join(staging, 'pom.xml'),
    `-Dkafka.version=${version}`,
    `-Dmaven.repo.local=${join(staging, 'repository')}`,
  ]
  const child = spawn(mvn, [...args, copyDependencies, `-DoutputDirectory=${join(staging, 'jars')}`], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  const [output, problems] = await Promise.all([text(child.stdout), text(child.stderr)])
  if ((await ended) === 0) return
  const line = (output + problems).split('\n').find((each) => each.includes('ERROR'))
  const reason = line?.replace(/^.*ERROR\S*\s*/, '') ?? 'no reason given'
  throw new SetupError(
    `Maven could not fetch Apache Kafka ${version}: ${reason} (try again with a network, or set KAFKA_BROKERS)`,
  )
}

/** Lets Kafka's own storage tool format a folder, and keeps the part that does not name a node. */
async function makeFormatted(java: string, staging: string): Promise<void> {
  const logs = join(staging, 'formatted')
  const settings = join(staging, 'format.properties')
  const properties = [
    'process.roles=broker,controller',
    'node.id=1',
    'controller.quorum.voters=1@127.0.0.1:9093',
    'listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093',
    'controller.listener.names=CONTROLLER',
    'listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
    `log.dirs=${logs}`,
  ]
  const args = ['format', '--cluster-id', 'bWlsZW5hLWJvb3RzdHJhcA', '--config', settings]
  await writeFile(settings, properties.join('\n'))
  const made = spawnSync(java, ['-cp', join(staging, 'jars', '*'), 'kafka.tools.StorageTool', ...args], {
    encoding: 'utf8',
  })
  if (made.status !== 0) {
    throw new Error(`Kafka's storage tool failed (status ${made.status}): ${made.stderr || made.stdout}`)
  }
  await rm(join(logs, 'meta.properties'))
}
