import { recordKeys } from '../records/record-keys.js'
import type { RedisLink } from '../redis/index.js'

/** Where trainings are found by what the Loop and the seats know of them; the scripts compute the same keys. */
export function trainingKeys(link: Pick<RedisLink, 'prefix'>) {
  const { base } = recordKeys(link)
  return {
    /** Hash: organization/project#number → id of the last training so named. */
    names: `${base}:training-names`,
    /** Hash: uuid of a seat → id of its newest training. */
    seats: `${base}:seat-trainings`,
    /** Set: trainings of a seat whose end the Loop has not acknowledged, also unfinished ones. */
    unacked: (uuid: string) => `${base}:seat-unacked:${uuid}`,
  }
}
