def written(name, word):
    return __states__["file.managed"](name, contents=__salt__["own.shout"](word))
