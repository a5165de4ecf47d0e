/** The release that everything runs on unless another one is asked for. */
export const kafkaVersion = '4.4.0'

/** The release that is asked for: `KAFKA_VERSION`, or ours. */
export function wantedKafkaVersion(): string {
  return process.env['KAFKA_VERSION'] || kafkaVersion
}

/** A release of Apache Kafka on this machine. */
export interface KafkaJars {
  /** Folder with every jar of the class path. */
  jars: string
  /**
   * What Kafka's storage tool writes into a node's folder, but for what names the node: the features
   * (metadata.version, group.version, …) that a new cluster begins with. It is the same for every node, so it is made
   * once here and spares each new node a JVM start. Empty before Kafka 3.3, which had no such features.
   */
  formatted: string
}
