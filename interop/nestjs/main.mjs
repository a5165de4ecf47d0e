/**
 * One side of a conversation, as a NestJS application has it. The only argument is JSON: `role` ('replier' or
 * 'requester'), `brokers`, `groupId`, `topics`, `prefix`, `timeout`, and `settings`, NestJS's own Kafka options. Events
 * go to standard output, one JSON object a line; a requester takes its orders from standard input. When that ends, so
 * does the process.
 */
import { createHistogram } from 'node:perf_hooks'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { Controller, Module } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { ClientKafka, MessagePattern, RpcException, Transport } from '@nestjs/microservices'
import {
  concat,
  concatMap,
  delay,
  from,
  ignoreElements,
  lastValueFrom,
  of,
  timeout as limitedTo,
  timer,
} from 'rxjs'

const { role, brokers, groupId, topics, prefix, timeout, settings } = JSON.parse(process.argv[2])
/** Its defaults, but that a group without offsets begins at the first record, so that nothing depends on who is up first. */
const options = {
  ...settings,
  client: { ...settings.client, brokers },
  consumer: { ...settings.consumer, groupId },
  subscribe: { fromBeginning: true, ...settings.subscribe },
}

const orders = createInterface({ input: process.stdin })
const side = role === 'requester' ? await startRequester() : await startReplier()
print({ event: 'ready' })
for await (const line of orders) {
  const order = Object.fromEntries(line.split(' ').map((each) => each.split('=')))
  print({ event: 'asked', ...(await ask(side, order)) })
}
await side.close()
process.exit(0)

function print(event) {
  process.stdout.write(`${JSON.stringify(event)}\n`)
}

/** What is answered: text to text, JSON to JSON, and to some texts what else a handler can do. */
function answerTo(request) {
  if (typeof request !== 'string') return { ...request, said: prefix + request.say }
  switch (request) {
    case 'fail with text':
      throw new RpcException('the card has expired')
    case 'fail with an object':
      throw new RpcException({ code: 'CARD_DECLINED', message: 'the card has expired' })
    case 'fail without a word':
      throw new Error('a secret')
    case 'answer nothing':
      return undefined
    case 'answer three times':
      // It ends later than its last value comes: so that is said in a record of its own.
      return concat(
        from(['one', 'two', 'three']).pipe(concatMap((each) => of(each).pipe(delay(5)))),
        timer(5).pipe(ignoreElements()),
      )
    default:
      return prefix + request
  }
}

/** What an application writes with decorators, which a program without a build step calls as functions. */
async function startReplier() {
  class Answering {
    answer(request) {
      return answerTo(request)
    }
  }
  const descriptor = Object.getOwnPropertyDescriptor(Answering.prototype, 'answer')
  MessagePattern(topics)(Answering.prototype, 'answer', descriptor)
  Controller()(Answering)
  // oxlint-disable-next-line no-extraneous-class -- NestJS wants a class to hang a module's metadata on
  class Application {}
  Module({ controllers: [Answering] })(Application)
  const service = await NestFactory.createMicroservice(Application, {
    transport: Transport.KAFKA,
    options,
    logger: ['error', 'warn'],
  })
  await service.listen()
  return service
}

/** Resolves when a partition of each reply topic is assigned: it throws at requests before that. */
async function startRequester() {
  const client = new ClientKafka(options)
  for (const topic of topics) client.subscribeToResponseOf(topic)
  await client.connect()
  while (topics.some((topic) => client.getConsumerAssignments()[`${topic}.reply`] === undefined)) {
    await sleep(50)
  }
  return client
}

/** One run; `interop/src/requester.ts` says what an order and its result are. */
async function ask(client, order) {
  const number = (name, otherwise) => Number(order[name] ?? otherwise)
  const requests = number('requests', Infinity)
  const keys = number('keys', 0)
  const rate = number('rate', 0)
  const bytes = number('bytes', 0)
  const begun = performance.now()
  const until = begun + number('milliseconds', Infinity)
  const latencies = createHistogram({ figures: 3 })
  const result = { answered: 0, wrong: 0, failed: 0, problem: '', failure: undefined }
  let next = 0

  async function one(number, intended) {
    const text = `${number}.`
    const say = text + 'x'.repeat(Math.max(0, bytes - text.length))
    const isJson = order.shape === 'json'
    const message = { key: keys > 0 ? `key-${number % keys}` : null, value: isJson ? { number, say } : say }
    try {
      // The last value, so that a reply that does not end the stream is no answer.
      const reply = await lastValueFrom(client.send(order.topic, message).pipe(limitedTo(timeout)))
      latencies.record(Math.max(1, Math.round((performance.now() - intended) * 1000)))
      result.answered++
      const said = prefix + say
      if (isJson ? reply?.number !== number || reply.said !== said : reply !== said) result.wrong++
    } catch (error) {
      result.failed++
      result.problem = String(error?.message ?? error)
      result.failure = error
    }
  }
  async function closedLoop() {
    while (next < requests && performance.now() < until) await one(next++, performance.now())
  }
  async function openLoop() {
    const open = []
    for (let intended = begun; next < requests;) {
      intended += (-Math.log(1 - Math.random()) * 1000) / rate
      if (intended >= until) break
      const early = intended - performance.now()
      if (early >= 1) await sleep(early)
      open.push(one(next++, intended))
    }
    await Promise.all(open)
  }

  if (rate > 0) await openLoop()
  else await Promise.all(Array.from({ length: number('in-flight', 1) }, closedLoop))
  const quantile = (share) => (result.answered === 0 ? 0 : latencies.percentile(100 * share))
  return {
    ...result,
    milliseconds: Math.round(performance.now() - begun),
    latency: {
      p50: quantile(0.5),
      p90: quantile(0.9),
      p99: quantile(0.99),
      p999: quantile(0.999),
      max: quantile(1),
    },
  }
}
