#!/usr/bin/env node
import process from 'node:process'
import { bearBrokenPipes } from './broken-pipe.js'
import { lastWordOf } from './last-word.js'
import { createProgram } from './program.js'

bearBrokenPipes()
// The last border: a clear sentence for what we know, a stack trace only for our own mistakes.
try {
  await createProgram().parseAsync()
} catch (error) {
  const word = lastWordOf(error)
  if (word === undefined) throw error
  process.stderr.write(`${word.sentence}\n`)
  process.exitCode = word.exitCode
}
