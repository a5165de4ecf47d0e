/**
 * A process that has done nothing yet: what it takes until the library is loaded, the first replier stands, the first
 * requester, and the first reply is there; and the same once more, when everything has been loaded and compiled. Prints
 * a line of JSON: by step, milliseconds of the clock and of processors.
 */
const [address, requestTopic, replyTopic] = process.argv.slice(2) as [string, string, string]
const steps: Record<string, { clock: number; processor: number }> = {}
let clock = performance.now()
let used = process.cpuUsage()

function step(name: string): void {
  const { user, system } = process.cpuUsage(used)
  steps[name] = { clock: performance.now() - clock, processor: (user + system) / 1_000 }
  clock = performance.now()
  used = process.cpuUsage()
}

const { createReplier, createRequester, defineOperation, sharedReplyTopic, string } =
  await import('@milena/request-reply')
step('import')
const kafka = { brokers: [address] }
const say = defineOperation({ name: 'say', topic: requestTopic, request: string(), reply: string() })
for (const turn of ['first', 'second']) {
  const groupId = `${requestTopic}-${process.pid}-${turn}`
  await using replier = createReplier({ kafka, groupId, replyTopics: [replyTopic] })
  replier.handle(say, (text) => text)
  await replier.start()
  step(`${turn} replier`)
  const replyRouting = sharedReplyTopic({ topic: replyTopic })
  await using requester = await createRequester({ kafka, replyRouting })
  step(`${turn} requester`)
  await requester.request(say, 'hello')
  step(`${turn} reply`)
}
process.stdout.write(`${JSON.stringify(steps)}\n`)
