import { connect } from 'node:net'
import { withoutPassword } from '../database/connect.ts'
import { StartError } from '../process/start-error.ts'

/** Milliseconds that a broker has to accept a connection. */
const bound = 5_000

/** Resolves when one of the brokers accepts a connection; a first look, so that a wrong address shows at once. */
export async function checkReachable(brokers: string): Promise<void> {
  const wrong = brokers.split(',').find((broker) => !/^(\[[\da-f:]+\]|[^:\s]+):\d{1,5}$/i.test(broker))
  if (wrong !== undefined) {
    throw new StartError(
      `KAFKA_BROKERS must be host:port,host:port,…, not ${JSON.stringify(withoutPassword(wrong))}`,
    )
  }
  try {
    await Promise.any(brokers.split(',').map(accept))
  } catch {
    throw new StartError(
      `no broker answers at ${brokers}: start one, correct KAFKA_BROKERS, or unset it to use the embedded one`,
    )
  }
}

function accept(address: string): Promise<void> {
  const colon = address.lastIndexOf(':')
  const port = Number(address.slice(colon + 1))
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address.slice(0, colon), port, timeout: bound })
    socket.once('connect', () => resolve())
    socket.once('timeout', () => reject(new Error('timeout')))
    socket.once('error', reject)
    // Whatever happened first, nothing of it stays.
    for (const event of ['connect', 'timeout', 'error']) socket.once(event, () => socket.destroy())
  })
}
