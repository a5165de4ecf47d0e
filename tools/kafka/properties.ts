/** What one node needs to know to write its settings. */
export interface NodeSettings {
  id: number
  port: number
  controllerPort: number
  /** Every node's id and controller port: the voters of the metadata quorum. */
  voters: readonly { id: number; controllerPort: number }[]
  logDir: string
  /** Settings of the user's, which win over ours. */
  configs: Readonly<Record<string, string>>
}

/**
 * The server.properties of one combined broker and controller.
 *
 * Timings that decide how failures look (broker.session.timeout.ms and the like) are left at Kafka's defaults:
 * tests must see what production sees. What is set is what makes a small cluster start fast and small.
 */
export function serverProperties(node: NodeSettings): string {
  const replicas = Math.min(3, node.voters.length)
  const inSync = replicas === 3 ? 2 : 1
  const settings: Record<string, string | number | boolean> = {
    'process.roles': 'broker,controller',
    'node.id': node.id,
    'controller.quorum.voters': node.voters.map((v) => `${v.id}@127.0.0.1:${v.controllerPort}`).join(','),
    listeners: `PLAINTEXT://127.0.0.1:${node.port},CONTROLLER://127.0.0.1:${node.controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${node.port}`,
    'controller.listener.names': 'CONTROLLER',
    // Before 3.3 a controller's listener is not known by itself.
    'listener.security.protocol.map':
      'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL',
    'inter.broker.listener.name': 'PLAINTEXT',
    'log.dirs': node.logDir,
    'default.replication.factor': replicas,
    'min.insync.replicas': inSync,
    'offsets.topic.replication.factor': replicas,
    'offsets.topic.num.partitions': 5,
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': inSync,
    'transaction.state.log.num.partitions': 5,
    'share.coordinator.state.topic.replication.factor': replicas,
    'share.coordinator.state.topic.min.isr': inSync,
    'share.coordinator.state.topic.num.partitions': 5,
    'auto.create.topics.enable': false,
    'delete.topic.enable': true,
    'group.initial.rebalance.delay.ms': 0,
    'num.network.threads': 2,
    'num.io.threads': 4,
    'log.cleaner.dedupe.buffer.size': 4 * 1024 * 1024, // the default, 128 MB, is half of our heap
    ...node.configs,
  }
  return Object.entries(settings)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('')
}
