import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { fetchKafkaJars } from '../jars.ts'
import { findJava, sharedClasses } from '../jvm.ts'

test('Java takes classes of Apache Kafka from the archive beside its jars', async () => {
  const { jars } = await fetchKafkaJars()
  const options = [...sharedClasses(jars), '-XX:+UseSerialGC', '-Xlog:class+load', '-cp', join(jars, '*')]
  assert.match(options[0] ?? 'no archive', /^-XX:SharedArchiveFile=/)
  const { stdout } = spawnSync(findJava(), [...options, 'kafka.tools.StorageTool', 'random-uuid'], {
    encoding: 'utf8',
  })
  assert.match(stdout, /org\.apache\.kafka\.common\.Uuid source: shared objects file \(top\)/)
})
