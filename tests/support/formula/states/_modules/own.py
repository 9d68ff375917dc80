def shout(word):
    return __utils__["own_util.loud"](word)
