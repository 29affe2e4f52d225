import { rm } from 'node:fs/promises'
import { until } from '../helpers/until.js'
import type { OwnRedis } from './own-redis.js'

type Refusal = {
  readonly code: string
  readonly begin: (redis: OwnRedis) => Promise<unknown>
  readonly end: (redis: OwnRedis) => Promise<unknown>
}

const command =
  (...words: string[]) =>
  (redis: OwnRedis) =>
    redis.call(...words)

/** Ways in which a server that answers refuses writes. */
export const REFUSALS: Readonly<Record<string, Refusal>> = {
  full: {
    code: 'OOM',
    begin: command('CONFIG', 'SET', 'maxmemory', '1'),
    end: command('CONFIG', 'SET', 'maxmemory', '0'),
  },
  'read-only': {
    code: 'READONLY',
    begin: command('REPLICAOF', '127.0.0.1', '1'),
    end: command('REPLICAOF', 'NO', 'ONE'),
  },
  'without replicas': {
    code: 'NOREPLICAS',
    begin: command('CONFIG', 'SET', 'min-replicas-to-write', '1'),
    end: command('CONFIG', 'SET', 'min-replicas-to-write', '0'),
  },
  'unable to save': {
    code: 'MISCONF',
    begin: failToSave,
    end: command('CONFIG', 'SET', 'stop-writes-on-bgsave-error', 'no'),
  },
  'withholding them': {
    code: 'WITHHELD',
    begin: command('CLIENT', 'PAUSE', '600000', 'WRITE'),
    end: command('CLIENT', 'UNPAUSE'),
  },
  'short of rights': {
    code: 'NOPERM',
    begin: command('ACL', 'SETUSER', 'default', '-@write'),
    end: command('ACL', 'SETUSER', 'default', '+@all'),
  },
}

async function failToSave(redis: OwnRedis): Promise<void> {
  await redis.call('CONFIG', 'SET', 'save', '3600 1')
  await rm(redis.folder, { recursive: true })
  await redis.call('BGSAVE').catch(() => undefined)
  await until('the save has failed', async () =>
    String(await redis.call('INFO', 'persistence')).includes('rdb_last_bgsave_status:err'),
  )
}
