"""Duty: invent the contents of files. What it makes reads and compresses like a program tree, yet is all made up.

A Writer holds a vocabulary that its seed decides; each method takes a random source and a size and returns that many
bytes. Equal seeds and equal random sources give equal bytes.
"""
import itertools
import random
import struct

STEMS = """
account action address agent alias area array async attr audit auth base batch bind bit block body bound
box branch bucket buffer build byte cache call cell chain channel char check child chunk class client clock code column
command commit config connection context core count cursor data date debug delta depth device digest driver edge entry
error event extent factory field file filter flag flow format frame graph group guard handle hash head header heap hint
host image index info inner input item job key kind label lane layer leaf left length level limit line link list loader
local lock log loop map mark mask match member merge meta method mode model module mutex name native next node number
object offset option order origin owner pack page pair param parent parser part path payload peer phase pipe plan point
policy pool port prefix prior process proto query queue range rank rate reader record region remote request result right
role root route row rule sample scan schema scope score section seed segment sender sequence server service session set
shape shard signal size slice slot socket source span stack stage start state status step store stream string struct
sum symbol sync table tag target task temp text thread ticket time token total trace track tree trigger tuple type unit
update upper user value vector version view visit walk watch weight width window word worker writer zone""".split()
VERBS = """
add apply build check clear close collect commit compare copy count create decode drain drop emit encode fetch
fill find finish flush get init insert is join load make merge move next open parse peek push put read release remove
replace reset resolve run save scan seek select send set sort split start stop swap take test trim update verify visit
wait walk with write""".split()
PLAIN = """
the of and to a in is that for it as with be by on not this are or from at which an but we can when has if
will each one all its only may than then must so no more into other first use same does until after before while never
between there where given both without because every here they were been such most also once any few least
already""".split()

# In the shapes below @ stands for a name of the file's own vocabulary, $ for a number, ~ for a phrase of prose.
SOURCE = ["    let @ = self.@.@(@);\n", "    let mut @ = Vec::with_capacity($);\n",
          "    if @.@() > $ {\n        return None;\n    }\n",
          "    @.@(&@, @)?;\n", "    // ~\n", "\n/// ~\n/// ~\npub fn @(&self, @: &@, @: usize) -> Result<@> {\n",
          "}\n\n", "    for @ in @.iter() {\n        @.push(@.@);\n    }\n", "    pub @: @,\n", "use crate::@::@;\n",
          "    match @ {\n        @::@ => @,\n        @::@ => @($),\n        _ => unreachable!(),\n    }\n",
          "    assert_eq!(@.@(), $);\n", "        @ += @ * $;\n", "    self.@ = @;\n",
          "    return Err(@::new(\"~\"));\n",
          "#[derive(Clone, Debug)]\npub struct @ {\n", "    @: $,\n",
          "    { 0x$, @, $, \"@\" },\n", "    \"@\" => @::@,\n"]
CONFIG = ["[@]\n", "@ = $\n", "@ = \"@\"\n", "@ = true\n", "; ~\n", "@.@ = [\"@\", \"@\"]\n", "@ = \"/usr/lib/@/@\"\n"]
PROSE = ["~ ~ ~.\n", "~, ~ ~ ~.\n", "~ `@` ~; ~ ~.\n", "\n== ~ ==\n\n", "* `@`: ~\n", "    @ --@=$ @\n"]
NUMBERS = list(range(17)) + [20, 24, 32, 48, 64, 80, 100, 128, 255, 256, 512, 1000, 1024, 4096, 8080, 65535]


def slopes(count, power):
    """Running totals of falling weights: the n-th choice is n**power times rarer than the first."""
    return list(itertools.accumulate((n + 1) ** -power for n in range(count)))


NUMBER_ODDS = slopes(len(NUMBERS), 1.0)


class Writer:
    """Makes text of a plausible program tree; every process builds the same one from the seed."""

    def __init__(self, seed):
        rng = random.Random(f"words {seed}")
        self.names = []
        for _ in range(24_000):
            parts = rng.sample(STEMS, rng.choice((1, 2, 2, 3)))
            if rng.random() < 0.3:
                parts.insert(0, rng.choice(VERBS))
            joined = "_".join(parts)
            self.names.append(joined if rng.random() < 0.7 else joined.title().replace("_", ""))
        words = PLAIN + STEMS + [verb + "s" for verb in VERBS]
        odds = slopes(len(words), 0.8)
        self.phrases = [" ".join(rng.choices(words, cum_weights=odds, k=rng.randint(3, 9))) for _ in range(20_000)]

    def render(self, rng, size, shapes, names):
        """Joins shapes and fills in the names, the numbers and the phrases until they make `size` bytes."""
        odds, shape_odds = slopes(len(names), 1.0), slopes(len(shapes), 0.6)
        done, length = [], 0
        while length < size:
            text = "".join(rng.choices(shapes, cum_weights=shape_odds, k=(size - length) // 75 + 2))
            for mark, slot, pool, weights in (("@", "%s", names, odds), ("$", "%d", NUMBERS, NUMBER_ODDS),
                                              ("~", "%s", self.phrases, None)):
                picked = rng.choices(pool, cum_weights=weights, k=text.count(mark))
                text = text.replace(mark, slot) % tuple(picked)
            text = self.echo(rng, text.splitlines(keepends=True))
            done.append(text)
            length += len(text)
        return "".join(done).encode()[:size]

    def echo(self, rng, lines):
        """Follows every few lines with some that were there before, as similar functions and copied text do."""
        done = []
        for at in range(0, len(lines), 12):
            done += lines[at:at + 12]
            run = rng.randrange(14)
            back = int(rng.random() * max(1, len(done) - run))
            done += done[back:back + run]
        return "".join(done)

    def vocabulary(self, rng, size):
        return rng.sample(self.names, min(12 + int(size ** 0.5 / 4), 300))

    def source(self, rng, size):
        shapes = rng.sample(SOURCE, 14)
        return self.render(rng, size, shapes, self.vocabulary(rng, size))

    def config(self, rng, size):
        return self.render(rng, size, CONFIG, self.vocabulary(rng, size))

    def prose(self, rng, size):
        return self.render(rng, size, PROSE, self.vocabulary(rng, size))

    def json(self, rng, size):
        keys = rng.sample(self.names, rng.randint(4, 9))
        values = [rng.choice(("$", "$.$", '"@"', '"@"', "true", '"~"', "[$, $]")) for _ in keys]
        record = ",\n".join(f'    "{key}": {value}' for key, value in zip(keys, values))
        return self.render(rng, size, ["  {\n" + record + "\n  },\n"], self.vocabulary(rng, size))

    def machine(self, rng, size):
        """Object-like: records of small integers and addresses with text and zeros between them."""
        out = bytearray()
        while len(out) < size:
            at = rng.getrandbits(24)
            for n in range(rng.randint(20, 200)):
                at += rng.choice((4, 8, 16, 24))
                out += struct.pack("<IHHQ", at, rng.choice((1, 2, 4, 257)), n & 7, rng.choice(NUMBERS))
            out += bytes(rng.choice((16, 64, 256))) + rng.choice(self.names).encode()
        return bytes(out[:size])

    def packed(self, rng, size):
        return rng.randbytes(size)
