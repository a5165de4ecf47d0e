import {
  Connection,
  describeQuorumV0,
  findCoordinatorV4,
  listGroupsV4,
  metadataV11,
  ResponseError,
} from '@platformatic/kafka'

type MetadataResponse = metadataV11.MetadataResponse

/** Error codes of Kafka's protocol that mean: not yet, ask again. */
const passing = new Set([3, 5, 14, 15, 16])
const askLimit = 3_000

/** Asks one broker one thing over a connection of its own. Rejects when it does not answer within 3 s. */
async function ask<T>(address: string, question: (connection: Connection) => Promise<T>): Promise<T> {
  const [host, port] = address.split(':')
  const connection = new Connection('milena-tools', { connectTimeout: askLimit, requestTimeout: askLimit })
  connection.on('error', () => {}) // the rejected call below says the same
  try {
    await connection.connect(host!, Number(port))
    return await question(connection)
  } finally {
    connection.socket.destroy() // close() would wait for what a hung broker never answers
  }
}

/** Metadata of these topics (null: of all) as this broker sees it; partitions and topics with an error are in it with their codes. */
export async function describeTopics(address: string, topics: string[] | null): Promise<MetadataResponse> {
  return ask(address, (connection) =>
    metadataV11.api.async(connection, topics, false, false).catch((error: unknown) => {
      if (error instanceof ResponseError && error.response) return error.response as MetadataResponse
      throw error
    }),
  )
}

/** Node id of the leader of a partition; undefined while there is none. */
export async function findLeader(
  address: string,
  topic: string,
  partition: number,
): Promise<number | undefined> {
  const metadata = await describeTopics(address, [topic])
  const found = metadata.topics[0]?.partitions.find((p) => p.partitionIndex === partition)
  return found === undefined || found.leaderId < 0 ? undefined : found.leaderId
}

/**
 * Node id of the coordinator of a group or a transactional id; undefined while there is none.
 * The first call of a kind makes the broker create its internal topic.
 */
export async function findCoordinator(
  address: string,
  kind: 'group' | 'transaction',
  key: string,
): Promise<number | undefined> {
  try {
    const answer = await ask(address, (connection) =>
      findCoordinatorV4.api.async(connection, kind === 'group' ? 0 : 1, [key]),
    )
    return answer.coordinators[0]?.nodeId
  } catch (error) {
    if (errorCodes(error).some((code) => passing.has(code))) return undefined
    throw error
  }
}

/**
 * Node id of the active controller, asked of a controller's own port: only the active one answers.
 * Not asked of a broker: the controller id in its metadata is just some live broker (KIP-590), and a question
 * that it forwards hangs for half a minute when the active controller does.
 */
export async function findController(address: string): Promise<number | undefined> {
  const topics = [{ topicName: '__cluster_metadata', partitions: [{ partitionIndex: 0 }] }]
  const answer = await ask(address, (connection) => describeQuorumV0.api.async(connection, topics))
  const leader = answer.topics[0]?.partitions[0]?.leaderId
  return leader === undefined || leader < 0 ? undefined : leader
}

/** Whether this broker's group coordinator has loaded every partition it is responsible for. */
export async function coordinatorAnswers(address: string): Promise<boolean> {
  try {
    await ask(address, (connection) => listGroupsV4.api.async(connection, [], []))
    return true
  } catch (error) {
    if (errorCodes(error).some((code) => passing.has(code))) return false
    throw error
  }
}

function errorCodes(error: unknown): number[] {
  if (!(error instanceof ResponseError)) return []
  return error.errors.map((e) => ('apiCode' in e ? Number(e['apiCode']) : Number.NaN))
}
