/** Prints as the document's log does: where request and reply stand, and the correlation id's bytes as Java shows them. */
import type { Reply } from '@milena/request-reply'

export function printReply(requestTopic: string, reply: Reply<string>): void {
  const { key, position, value, headers, request, roundTrip } = reply
  const asked =
    request === undefined
      ? 'not yet acknowledged'
      : `partition = ${request.partition}, offset = ${request.offset}`
  console.log(`out request : topic = ${requestTopic}, ${asked}, key = ${key?.toString()}`)
  const shown = [...headers].map(([name, bytes]) => `${name} = ${bytes === null ? null : signedBytes(bytes)}`)
  console.log(
    `out response value : topic = ${position.topic}, partition = ${position.partition}, offset = ${position.offset}, ` +
      `headers = [${shown.join(', ')}], key = ${key?.toString()}, value = ${value}`,
  )
  console.log(`response : ${value}   (${roundTrip.toFixed(1)} ms)`)
}

function signedBytes(bytes: Buffer): string {
  return `[${[...new Int8Array(bytes)].join(', ')}]`
}
