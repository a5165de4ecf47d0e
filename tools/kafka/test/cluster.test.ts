import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { uniqueName } from '../../../test/support/cluster.ts'
import { waitFor } from '../../../test/support/wait-for.ts'
import { startKafka } from '../cluster.ts'
import type { KafkaCluster } from '../cluster.ts'
import { runKafkaTool } from '../console.ts'
import { describeTopics } from '../inspect.ts'

describe('three brokers', () => {
  let cluster: KafkaCluster
  let bootstrap: string[]
  before(async () => {
    cluster = await startKafka({ brokers: 3 })
    bootstrap = ['--bootstrap-server', cluster.brokers.join(',')]
  })
  after(() => cluster.close())

  async function createTopic(): Promise<string> {
    const topic = uniqueName('cluster-test')
    const made = await runKafkaTool('kafka-topics', [...bootstrap, '--create', '--topic', topic])
    assert.equal(made.status, 0, made.stdout + made.stderr)
    return topic
  }

  async function read(topic: string, count: number): Promise<string[]> {
    const limits = ['--from-beginning', '--max-messages', String(count), '--timeout-ms', '120000']
    const { stdout } = await runKafkaTool('kafka-console-consumer', [
      ...bootstrap,
      '--topic',
      topic,
      ...limits,
    ])
    return stdout.split('\n').filter(Boolean)
  }

  test('every broker lists the others, and the internal topics are made with three replicas each', async () => {
    for (const address of cluster.brokers) {
      const view = await describeTopics(address, ['__consumer_offsets', '__transaction_state'])
      assert.equal(view.brokers.length, 3)
      assert.equal(view.topics.length, 2)
      for (const topic of view.topics) {
        assert.equal(topic.errorCode, 0, `${topic.name} as ${address} sees it`)
        assert.ok(topic.partitions.every((p) => p.isrNodes.length === 3))
      }
    }
    const args = [
      ...bootstrap,
      '--describe',
      '--entity-type',
      'topics',
      '--entity-name',
      '__consumer_offsets',
      '--all',
    ]
    assert.match((await runKafkaTool('kafka-configs', args)).stdout, /min\.insync\.replicas=2/)
  })

  test('a topic that is not there is not created by asking for it', async () => {
    const topic = uniqueName('never-made')
    const args = [...bootstrap, '--topic', topic, '--producer-property', 'max.block.ms=1000']
    await runKafkaTool('kafka-console-producer', args, { input: 'lost\n' })
    const { stdout } = await runKafkaTool('kafka-topics', [...bootstrap, '--list'])
    assert.ok(!stdout.includes(topic))
  })

  test('a killed leader is followed by another node, and comes back in sync with its data', async () => {
    const topic = await createTopic()
    await runKafkaTool('kafka-console-producer', [...bootstrap, '--topic', topic], { input: 'one\ntwo\n' })
    const leader = await cluster.leaderOf(topic, 0)
    const { pid } = leader
    await leader.kill('SIGKILL')
    assert.equal(leader.running, false)
    assert.notEqual((await cluster.leaderOf(topic, 0)).id, leader.id)
    await leader.restart()
    assert.notEqual(leader.pid, pid)
    const view = await describeTopics(leader.address, [topic])
    assert.equal(view.topics[0]?.partitions[0]?.isrNodes.length, 3)
    assert.deepEqual(await read(topic, 2), ['one', 'two'])
  })

  test('a cleanly stopped coordinator hands its groups over', async () => {
    const group = uniqueName('group')
    const coordinator = await cluster.coordinatorOf(group)
    await coordinator.stop()
    assert.notEqual((await cluster.coordinatorOf(group)).id, coordinator.id)
    await coordinator.restart()
  })

  test('a hung controller is succeeded by another node, and can be woken up again', async () => {
    const controller = await cluster.controller()
    await controller.kill('SIGSTOP')
    const successor = await cluster.controller()
    assert.notEqual(successor.id, controller.id)
    await controller.kill('SIGCONT')
    const answers = async (): Promise<boolean> =>
      (await describeTopics(controller.address, [])).brokers.length === 3
    await waitFor(answers, { what: 'the woken node to be a member again', timeout: 120_000 })
  })
})
