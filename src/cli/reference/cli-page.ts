import type { Argument, Command, Option } from 'commander'

/** The reference page of all commands, made from the program itself. */
export function cliPage(program: Command): string {
  return `# Commands

<!-- Made by \`npm run docs\` from src/cli; changes here are lost. -->

\`loopfleet COMMAND --help\` prints the same. Environment variables are in [configuration.md](configuration.md).

- Every command ends cleanly on SIGINT (Ctrl-C) and SIGTERM.
- Exit code 0 means done. Anything else means that it was not; stderr then ends with one sentence that says what is
  wrong, and an error code ([errors.md](errors.md)). A wrong option or argument is named without a code.
- Parts that run until they are asked to end do so within 9 s and immediately on a second signal; after 9 s they are killed (exit code
  137), after a second signal the exit code is 130 (SIGINT) or 143 (SIGTERM). The same signal again within half a second counts as
  one: \`timeout\` sends it to a process and then to its group.
- They print \`loopfleet PART is ready {…}\` on stdout, with addresses as JSON, when they can work: a worker with Redis; a trainer node and
  a converter with Redis and logged in at the Loop; an annotator logged in at the Loop; a detector when a model serves, with or without
  the Loop (\`loopfleet detector is listening {…}\` comes before). \`loopfleet PART is waiting: …\` names what is missing. A refused
  password ends trainer, converter and annotator with \`LF_LOOP_LOGIN\`; a Loop that cannot be reached is tried again. Logs go to
  stderr, as JSON lines or, on a terminal, for reading.

${program.commands.flatMap((command) => sections(command, [program.name()])).join('\n\n')}
`
}

function sections(command: Command, path: readonly string[]): string[] {
  const name = [...path, command.name()]
  const usage = [
    ...name,
    ...(command.options.length > 0 ? ['[options]'] : []),
    ...command.registeredArguments.map(term),
  ]
  const rows = [...command.registeredArguments.map(argumentRow), ...command.options.map(optionRow)]
  const table = rows.length === 0 ? [] : ['| option | default | meaning |\n|---|---|---|', ...rows]
  const own = [`## ${name.join(' ')}`, '', sentence(command.description()), '', `\`${usage.join(' ')}\``, '', ...table]
  return [own.join('\n').trimEnd(), ...command.commands.flatMap((sub) => sections(sub, name))]
}

function term(argument: Argument): string {
  return argument.required ? `<${argument.name()}>` : `[${argument.name()}]`
}

function argumentRow(argument: Argument): string {
  return `| \`${term(argument)}\` | ${argument.required ? 'required' : ''} | ${escapePipes(argument.description)} |`
}

function optionRow(option: Option): string {
  const { defaultValue, mandatory, flags, description } = option
  const initial = defaultValue === undefined || defaultValue === false ? '' : `\`${String(defaultValue)}\``
  return `| \`${flags}\` | ${mandatory ? 'required' : initial} | ${escapePipes(description)} |`
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
}

function escapePipes(text: string): string {
  return text.replaceAll('|', '\\|')
}
