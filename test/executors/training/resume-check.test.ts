import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { askResume } from '../../../src/executors/training/resume-check.js'
import { rejection } from '../../helpers/rejection.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { makeDefinition, makeOrder } from '../support.js'

describe('the check before a resume', function () {
  this.timeout(20_000)
  const folder = useTemporaryFolder()
  const log = silentLogger()

  async function ask(check: string, { signal = new AbortController().signal, resumeWhen = 'last.txt' } = {}) {
    const command = JSON.stringify(['python', '-c', check])
    const file = resumeWhen === '' ? '' : `resume_when: ${resumeWhen}, `
    const definition = makeDefinition(`train: {scratch: [a], resume: [b], ${file}resume_check: ${command}}`)
    await writeFile(join(folder.path, 'last.txt'), 'epoch 3')
    const said: string[] = []
    const where = { workspace: folder.path, logFile: join(folder.path, 'log'), env: { PATH: process.env.PATH } }
    const options = {
      definition,
      order: makeOrder(),
      owner: `test:${process.pid}:t1.1`,
      signal,
      timeoutMs: 3_000,
      ...where,
    }
    const answer = await askResume(options, { log, say: (line) => said.push(line) })
    return { answer, said }
  }

  for (const [code, kind] of [
    [0, 'resume'],
    [10, 'finished'],
    [11, 'unusable'],
  ] as const) {
    it(`answers ${kind} by code ${code}, without a warning`, async () => {
      const { answer, said } = await ask(`raise SystemExit(${code})`)

      expect(answer.kind).to.equal(kind)
      expect(said).to.deep.equal([])
    })
  }

  for (const [what, check] of [
    ['ends with code 1', 'raise RuntimeError("no torch here")'],
    ['ends with code 12', 'raise SystemExit(12)'],
    ['is killed', 'import os; os.kill(os.getpid(), 9)'],
    ['hangs', 'import time; time.sleep(100)'],
  ] as const) {
    it(`resumes with a warning if it ${what}`, async () => {
      const { answer, said } = await ask(check)

      expect(answer).to.deep.equal({ kind: 'resume' })
      expect(said).to.have.length(1)
      expect(said[0]).to.match(/^warning: train\.resume_check itself failed, so the training resumes: /)
    })
  }

  it('answers none where nothing but the check says whether there is a checkpoint', async () => {
    expect((await ask('raise SystemExit(11)', { resumeWhen: '' })).answer).to.deep.equal({ kind: 'none' })
  })

  it('is not asked without the file of resume_when', async () => {
    expect((await ask('raise SystemExit(10)', { resumeWhen: 'none.txt' })).answer).to.deep.equal({ kind: 'none' })
  })

  it('throws why it was ended', async () => {
    const end = new AbortController()
    setTimeout(() => end.abort(new Error('asked to end')), 300)

    expect(await rejection(ask('import time; time.sleep(100)', { signal: end.signal }))).to.include({
      message: 'asked to end',
    })
  })
})
