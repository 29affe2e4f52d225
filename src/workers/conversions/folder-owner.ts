import type { ConversionRecord } from '../../queue/conversions.js'
import type { WorkspaceOwner } from '../workspace-keeper.js'

/** One that went well needs its folder no more, if anything is left of it. */
export function folderOwnerOf(record: ConversionRecord | undefined): WorkspaceOwner | undefined {
  if (record === undefined) return undefined
  switch (record.state) {
    case 'waiting':
    case 'running':
      return { endedAt: null, outcome: null }
    case 'failed':
      return { endedAt: record.endedAt, outcome: 'failed' }
    case 'converted':
      return { endedAt: record.endedAt, outcome: 'aborted' }
    default:
      return record.state satisfies never
  }
}
