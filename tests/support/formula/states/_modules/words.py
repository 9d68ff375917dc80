def of_pillar(number):
    return __pillar__["web"]["words"][number]
