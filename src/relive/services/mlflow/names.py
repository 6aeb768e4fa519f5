"""Names for runs that were given none, as people remember them: two words and a number."""

import random
from typing import Final

_HOW: Final = (
    "amber bold brave breezy bright brisk calm candid clear clever cosmic crisp daring deft eager early"
    " earnest fair fancy fleet fond frosty gentle glad golden grand happy hardy honest humble jolly keen"
    " kind light lively loyal lucid lucky mellow merry mild modest neat nimble noble patient placid plucky"
    " polite proud quick quiet rapid ready robust rosy serene sharp silent silver sincere sleek smart snug"
    " solid spry steady stellar sunny swift tidy trusty upbeat valiant vivid warm wise witty zesty"
)
_WHAT: Final = (
    "acorn alder ant aspen badger bat bear beaver bee birch bison bream cedar clam cloud colt comet coral"
    " crab crane creek crow cub dale deer dove duck eagle eel elk elm falcon fawn fern finch fir fjord fox"
    " frog goat goose grouse gull hare hawk heron hill horse ibis jay kite lake lamb lark linden lion llama"
    " lynx maple marten mole moose moss moth newt oak olive orca otter owl panda perch pike pine plover pony"
    " puma quail ram raven reef river robin rook seal shrew skua sloth snail spruce squid stag star stoat"
    " stork swan tern tiger toad trout tuna vole walrus whale willow wolf wren yak"
)
_LONGEST: Final = 20
_HIGHEST: Final = 1000


def random_name() -> str:
    """Make a name, of 20 characters at most; it need not be unique."""
    words = random.choice(_HOW.split()), random.choice(_WHAT.split())
    return f"{words[0]}-{words[1]}-{random.randint(0, _HIGHEST)}"[:_LONGEST]
