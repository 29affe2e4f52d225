import { readFile } from 'node:fs/promises'
import { expect } from 'chai'
import { createRunSwitch, whoMayEnd } from '../../src/workers/engine/run-switch.js'

const PAGE = 'docs/architecture.md'

describe('who may end a program', () => {
  it('is the same table in the architecture and in the code', async () => {
    const [, section = ''] = (await readFile(PAGE, 'utf8')).split('## Who may end a program\n')
    const table =
      section
        .split('\n## ')[0]
        ?.split('\n')
        .filter((line) => line.startsWith('| ')) ?? []

    const rows = table.slice(1).map((line) => line.split('|')[1]?.trim())
    expect(rows).to.deep.equal([...whoMayEnd])
  })

  it('is a newer run, and neither a lost nor a regained record', () => {
    const ended = (outcome: 'held' | 'regained' | 'restored' | 'lost' | 'superseded' | 'ended') => {
      const control = createRunSwitch({ id: 't1', run: 1 })
      control.onRenewed({ id: 't1', outcome, intent: null })
      return control.signal.aborted
    }

    expect((['superseded', 'ended'] as const).map(ended)).to.deep.equal([true, true])
    expect((['held', 'regained', 'restored', 'lost'] as const).map(ended)).to.deep.equal([false, false, false, false])
  })

  it('is not a stop: the run is asked, and an abort still ends it', () => {
    const { signal, stopSignal, obey } = createRunSwitch({ id: 't1', run: 1 })

    obey({ kind: 'stop', by: 'loop', at: 1, mark: '1' })
    expect([stopSignal.aborted, signal.aborted]).to.deep.equal([true, false])
    obey({ kind: 'abort', by: 'cli', at: 2, mark: '1' })
    expect(signal.reason).to.include({ code: 'LF_TRAINING_ABORTED' })
  })
})
