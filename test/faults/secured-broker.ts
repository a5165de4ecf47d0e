/** One Apache Kafka with a listener that asks who comes and what he may; on the other one everybody may everything. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fetchKafkaJars } from '../../tools/kafka/jars.ts'
import { defaultJvmOptions } from '../../tools/kafka/jvm.ts'
import { KafkaNode } from '../../tools/kafka/node.ts'
import { freePorts } from '../../tools/kafka/ports.ts'
import { awaitMember, awaitReady } from '../../tools/kafka/ready.ts'

export interface SecuredBrokerOptions {
  readonly protocol: 'SASL_PLAINTEXT' | 'SASL_SSL'
  /** Passwords of those who come by PLAIN. */
  readonly users: Readonly<Record<string, string>>
  /** Whether what no ACL speaks of is allowed. */
  readonly allowUnlessDenied: boolean
  /** Further settings; the listener's name in them is `secured`. */
  readonly configs?: Readonly<Record<string, string>>
}

export interface SecuredBroker {
  readonly node: KafkaNode
  /** `host:port` of the listener that asks. */
  readonly secured: string
  close(): Promise<void>
}

export async function startSecuredBroker(options: SecuredBrokerOptions): Promise<SecuredBroker> {
  const [port, controllerPort, securedPort] = (await freePorts(3)) as [number, number, number]
  const secured = `127.0.0.1:${securedPort}`
  const users = Object.entries(options.users).map(([name, password]) => `user_${name}="${password}"`)
  const folder = await mkdtemp(join(tmpdir(), 'milena-kafka-'))
  const node = new KafkaNode({
    id: 1,
    port,
    controllerPort,
    voters: [{ id: 1, controllerPort }],
    configs: {
      listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort},SECURED://${secured}`,
      'advertised.listeners': `PLAINTEXT://127.0.0.1:${port},SECURED://${secured}`,
      'listener.security.protocol.map': `PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURED:${options.protocol}`,
      'sasl.enabled.mechanisms': 'PLAIN',
      'listener.name.secured.plain.sasl.jaas.config': `org.apache.kafka.common.security.plain.PlainLoginModule required ${users.join(' ')};`,
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'super.users': 'User:ANONYMOUS',
      'allow.everyone.if.no.acl.found': String(options.allowUnlessDenied),
      ...options.configs,
    },
    jars: await fetchKafkaJars(),
    clusterId: randomBytes(16).toString('base64url').replace(/^-/, 'A'),
    dir: join(folder, 'node-1'),
    keep: false,
    around: folder,
    jvmOptions: defaultJvmOptions,
    awaitMember,
  })
  const close = async (): Promise<void> => {
    await node.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await node.start()
    await awaitReady([node])
  } catch (error) {
    await close()
    throw error
  }
  return { node, secured, close }
}
