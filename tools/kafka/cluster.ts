import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findController, findCoordinator, findLeader } from './inspect.ts'
import { fetchKafkaJars } from './jars.ts'
import { defaultJvmOptions } from './jvm.ts'
import { KafkaNode } from './node.ts'
import { freePorts, isFree } from './ports.ts'
import { awaitMember, awaitReady } from './ready.ts'
import { SetupError } from './setup-error.ts'

const keepStopLimit = 10_000
const findLimit = 120_000

export interface KafkaOptions {
  /** The release of Apache Kafka, such as `3.9.1`. Default `KAFKA_VERSION`, else ours. */
  version?: string
  /** Number of combined broker and controller nodes. Default 3. */
  brokers?: number
  /** Port of the first broker; the next ones follow it. Default 0: any free ports. */
  port?: number
  /** Folder for settings, logs and data. Default: a new one under the system's temporary folder. */
  dir?: string
  /** Leave the data when it stops, so that a later start with the same `dir` goes on with it. Default false. */
  keep?: boolean
  /** Broker settings that win over ours, such as `{ 'broker.session.timeout.ms': '6000' }`. */
  configs?: Readonly<Record<string, string>>
  /** Options of each JVM. Default `defaultJvmOptions`. */
  jvmOptions?: readonly string[]
}

export interface KafkaCluster extends AsyncDisposable {
  /** `host:port` of every broker. */
  readonly brokers: string[]
  /** Ids run from 1. */
  readonly nodes: readonly KafkaNode[]
  readonly dir: string
  /** The node with this id. */
  node(id: number): KafkaNode
  /** The node that leads this partition; waits for an election to end, at most 120 s. */
  leaderOf(topic: string, partition: number): Promise<KafkaNode>
  /** The node that coordinates this group; waits for an election to end, at most 120 s. */
  coordinatorOf(groupId: string): Promise<KafkaNode>
  /** The active controller; waits for an election to end, at most 120 s. */
  controller(): Promise<KafkaNode>
  /** Stops every node, and removes what was made unless `keep`. Can be called again. */
  close(): Promise<void>
}

/**
 * Starts Apache Kafka on 127.0.0.1 and resolves when every broker serves and the internal topics are made.
 * Its processes end with this one, however this one ends.
 *
 * Throws a SetupError for what the caller can put right (no Java or Maven, a taken port, another cluster's
 * folder), and an Error with the log's last errors when a node does not come up. Nothing is left behind then.
 */
export async function startKafka(options: KafkaOptions = {}): Promise<KafkaCluster> {
  const { brokers: count = 3, port = 0, keep = false, configs = {} } = options
  if (!Number.isInteger(count) || count < 1 || count > 9)
    throw new SetupError('the number of brokers must be 1 to 9')
  const ports = await brokerPorts(count, port)
  const controllerPorts = await freePorts(count, ports)
  const jars = await fetchKafkaJars(options.version)
  const { dir, made } = await openFolder(options.dir)
  const voters = controllerPorts.map((controllerPort, index) => ({ id: index + 1, controllerPort }))
  let nodes: KafkaNode[] = []

  const close = async (): Promise<void> => {
    // Without the data a clean stop has no use, and the last of them would wait in vain for a quorum.
    if (keep)
      await Promise.all(nodes.map(async (node) => node.kill('SIGCONT').then(() => node.kill('SIGTERM'))))
    if (keep) await within(keepStopLimit, Promise.all(nodes.map((node) => node.ended)))
    await Promise.all(nodes.map((node) => node.kill('SIGKILL')))
    if (keep) return
    await Promise.all(nodes.map((node) => rm(nodeFolder(dir, node.id), { recursive: true, force: true })))
    if (made) await rm(dir, { recursive: true, force: true })
  }

  try {
    const clusterId =
      (await readClusterId(dir, count)) ?? randomBytes(16).toString('base64url').replace(/^-/, 'A')
    nodes = voters.map(
      ({ id, controllerPort }) =>
        new KafkaNode({
          id,
          port: ports[id - 1]!,
          controllerPort,
          voters,
          configs,
          jars,
          clusterId,
          dir: nodeFolder(dir, id),
          keep,
          around: made ? dir : undefined,
          jvmOptions: options.jvmOptions ?? defaultJvmOptions,
          awaitMember,
        }),
    )
    await Promise.all(nodes.map((node) => node.start()))
    await awaitReady(nodes)
  } catch (error) {
    await close()
    throw error
  }
  return {
    brokers: nodes.map((node) => node.address),
    nodes,
    dir,
    node: (id) => nodeById(nodes, id),
    leaderOf: async (topic, partition) =>
      findNode(nodes, `a leader of ${topic}/${partition}`, ({ address }) =>
        findLeader(address, topic, partition),
      ),
    coordinatorOf: async (group) =>
      findNode(nodes, `the coordinator of ${group}`, ({ address }) =>
        findCoordinator(address, 'group', group),
      ),
    controller: async () =>
      findNode(nodes, 'the controller', ({ controllerAddress }) => findController(controllerAddress)),
    close,
    [Symbol.asyncDispose]: close,
  }
}

function nodeById(nodes: readonly KafkaNode[], id: number): KafkaNode {
  const node = nodes.find((n) => n.id === id)
  if (node === undefined) throw new Error(`there is no Kafka node ${id}`)
  return node
}

/** Asks all running nodes (some may be hung) until one names a node that is up. */
async function findNode(
  nodes: readonly KafkaNode[],
  what: string,
  find: (asked: KafkaNode) => Promise<number | undefined>,
): Promise<KafkaNode> {
  const deadline = Date.now() + findLimit
  while (Date.now() < deadline) {
    const running = nodes.filter((node) => node.running)
    const answers = running.map(async (asked) => {
      const id = await find(asked)
      // The others go on naming a dead node until its session is over.
      if (id === undefined || !nodeById(nodes, id).running)
        throw new Error(`node ${asked.id} names nobody who is up`)
      return nodeById(nodes, id)
    })
    const found = await Promise.any(answers).catch(() => undefined)
    if (found) return found
    await sleep(50)
  }
  throw new Error(`no running Kafka node could name ${what} within ${findLimit} ms`)
}

async function brokerPorts(count: number, first: number): Promise<number[]> {
  if (first === 0) return freePorts(count)
  if (!Number.isInteger(first) || first < 1 || first + count - 1 > 65_535) {
    throw new SetupError(
      `port ${first} is not possible for ${count} brokers: choose one from 1 to ${65_536 - count}`,
    )
  }
  const ports = Array.from({ length: count }, (_, index) => first + index)
  for (const port of ports) {
    if (!(await isFree(port))) throw new SetupError(`port ${port} is taken: choose other ports with --port`)
  }
  return ports
}

async function openFolder(dir: string | undefined): Promise<{ dir: string; made: boolean }> {
  if (dir === undefined) return { dir: await mkdtemp(join(tmpdir(), 'milena-kafka-')), made: true }
  const path = resolve(dir)
  const made = !existsSync(path)
  try {
    // Not recursive: where nothing can be made, such as in /proc, Node tries that for ever.
    if (made) await mkdir(path)
  } catch (error) {
    throw new SetupError(
      `the folder ${path} cannot be made: ${(error as Error).message}: choose another --dir`,
    )
  }
  return { dir: path, made }
}

function nodeFolder(dir: string, id: number): string {
  return join(dir, `node-${id}`)
}

/** The id of the cluster whose data is in this folder, undefined when there is none. */
async function readClusterId(dir: string, count: number): Promise<string | undefined> {
  const there = (await readdir(dir)).filter((name) => /^node-\d+$/.test(name)).length
  if (there === 0) return undefined
  if (there !== count)
    throw new SetupError(`${dir} has the data of ${there} brokers: start it with --brokers ${there}`)
  const meta = await readFile(join(nodeFolder(dir, 1), 'data', 'meta.properties'), 'utf8').catch(() => '')
  return /^cluster\.id=(.+)$/m.exec(meta)?.[1]
}

async function within(limit: number, done: Promise<unknown>): Promise<void> {
  const cancel = new AbortController()
  await Promise.race([done, sleep(limit, undefined, { signal: cancel.signal }).catch(() => {})])
  cancel.abort()
}
